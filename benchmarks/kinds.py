"""How near int8 comes by kind of text: the texts in tests/golden/kinds.jsonl."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import ROOT
from minilm_onnx import SentenceEncoder
from minilm_onnx.arrays import FloatArray

FOLDER = ROOT / "tests" / "golden"
SHOWN = 24
# What the tests hold the bundled model to: mean and minimum cosine of each kind.
LIMITS = {
    "short replies": (0.9993, 0.998),
    "keywords": (0.9995, 0.999),
    "bulleted lists": (0.9995, 0.999),
    "one word repeated": (0.9992, 0.998),
    "all caps": (0.9995, 0.999),
    "code": (0.9995, 0.999),
    "other scripts": (0.9994, 0.999),
    "punctuation only": (0.9993, 0.998),
    "one word": (0.9996, 0.999),
    "very short": (0.9996, 0.999),
    "digits": (0.9994, 0.999),
    "hex dump": (0.9995, 0.999),
    "base64": (0.9994, 0.999),
    "URLs": (0.9994, 0.999),
    "JSON logs": (0.9994, 0.999),
    "word 254 times": (0.9988, 0.996),
}


@dataclass(frozen=True)
class Kinds:
    """N texts of several kinds, and what sentence-transformers in float32 makes of them.

    Attributes:
        names: the kind of each text.
        labels: each text, shortened to be shown.
        texts: the texts.
        vectors: (N, H) float32 unit rows.
    """

    names: list[str]
    labels: list[str]
    texts: list[str]
    vectors: FloatArray

    def cosines(self, encoder: SentenceEncoder) -> Iterator[tuple[str, FloatArray, list[str]]]:
        """Give each kind, the cosines of its texts, and their labels."""
        found = (encoder.encode(self.texts) * self.vectors).sum(axis=1)
        for kind in dict.fromkeys(self.names):
            places = [place for place, name in enumerate(self.names) if name == kind]
            yield kind, found[places], [self.labels[place] for place in places]


def read_kinds(folder: Path = FOLDER) -> Kinds:
    """Read kinds.jsonl and kinds.npy; see PROVENANCE.md beside them."""
    rows = [json.loads(line) for line in (folder / "kinds.jsonl").read_text("utf-8").splitlines()]
    names, labels = [row["kind"] for row in rows], [label(row) for row in rows]
    return Kinds(names, labels, whole_texts(rows), np.load(folder / "kinds.npy"))


def whole_texts(rows: list[dict[str, Any]]) -> list[str]:
    """Give the texts of rows; a row may say how many times its text comes."""
    return [" ".join([row["text"]] * row.get("times", 1)) for row in rows]


def label(row: dict[str, Any]) -> str:
    """Give the start of a text on one line, and how many times it comes."""
    line = " ".join(row["text"].split())
    start = line if len(line) <= SHOWN else line[:SHOWN].rstrip() + "..."
    return f"{start} ({row['times']} times)" if "times" in row else start


def table(encoder: SentenceEncoder) -> list[dict[str, Any]]:
    """Give a row for each kind: how many texts, mean and minimum cosine, the worst text."""
    return [
        {
            "kind": kind,
            "texts": len(cosines),
            "mean": round(float(cosines.mean()), 5),
            "min": round(float(cosines.min()), 5),
            "worst": labels[int(cosines.argmin())],
        }
        for kind, cosines, labels in read_kinds().cosines(encoder)
    ]
