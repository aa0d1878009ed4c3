"""Texts at the edge: huge, empty, many, and of every script. None is lost, none stops the rest."""

import gzip
import json
import subprocess
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from minilm_onnx import InputError, SentenceEncoder
from minilm_onnx.cli import main

MIB = 2**20
# Beside the project where it is developed; see the docstring of benchmarks/quality.py.
DATA = Path(__file__).parents[3] / "shared" / "data" / "multilingual"
HUGE = {
    "words": "The lantern stands in the harbour. " * 300_000,
    "one word": "a" * (10 * MIB),
    "marks": "e" + "\u0301" * (5 * MIB),
    "ideographs": "\u732b\u72ac" * (2 * MIB),
    "white space": " \t\u3000" * (3 * MIB) + "end",
    "emoji": "\U0001f468\u200d\U0001f469\u200d\U0001f467" * 600_000,
    "NUL": "a\0" * (5 * MIB),
    "special tokens": "[CLS][SEP] [MASK]" * 600_000,
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", HUGE)
def test_ten_megabytes_are_cut_and_said_to_be(encoder: SentenceEncoder, kind: str) -> None:
    text = HUGE[kind]
    (report,) = encoder.inspect([text])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        together = encoder.encode(["a neighbour", text])
        assert np.array_equal(encoder.encode(text), together[1])
    assert np.array_equal(encoder.encode("a neighbour"), together[0])
    assert abs(float(np.linalg.norm(together[1])) - 1) < 1e-5
    if kind == "words":
        assert report.tokens == 7 * 300_000 + 2
        assert report.kept == 256


@pytest.mark.slow
def test_ten_megabytes_take_little_memory(tmp_path: Path) -> None:
    code = (
        "from minilm_onnx import SentenceEncoder\n"
        "from minilm_onnx.measure.memory import peak_rss_mib as peak\n"
        "encoder = SentenceEncoder(threads=1)\n"
        "encoder.encode('word ' * 300)\n"
        "text = 'The lantern stands in the harbour. ' * 300_000\n"
        "before = peak()\n"
        "encoder.encode(text)\n"
        "print(peak() - before)"
    )
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True
    )
    # Its 2.4 million ids are 18 MiB, once as pieces and once joined.
    assert float(result.stdout) < 100


@pytest.mark.slow
def test_a_hundred_thousand_empty_texts(encoder: SentenceEncoder) -> None:
    found = encoder.encode([""] * 100_000)
    assert found.shape == (100_000, 384)
    assert (found == encoder.encode("")).all()


def test_many_equal_texts_are_computed_once(encoder: SentenceEncoder) -> None:
    found = encoder.encode(["", "same text"] * 1000)
    assert (found[1::2] == encoder.encode("same text")).all()


@pytest.mark.parametrize("text", ["", " ", "\0", "a\0b", "\u200b", "\ufeff", "\u2028", "\x1b[0m"])
def test_odd_texts_are_texts(encoder: SentenceEncoder, text: str) -> None:
    together = encoder.encode(["before", text, "after"])
    assert np.array_equal(together[1], encoder.encode(text))
    assert np.isfinite(together).all()


@pytest.mark.parametrize("text", ["\ud800", "a\udfff", "\ud83d x \ude00"])
def test_a_lone_surrogate_is_named_by_its_place(encoder: SentenceEncoder, text: str) -> None:
    with pytest.raises(InputError, match=r"texts\[1\]: .*surrogate"):
        encoder.encode(["fine", text])


def test_control_characters_come_through_files(tmp_path: Path, encoder: SentenceEncoder) -> None:
    texts = ["a\0b", "tab\there", "form\x0cfeed", "\u2028line", "\x85next", "\x1c\x1d\x1e"]
    (tmp_path / "in.txt").write_text("\n".join(texts), "utf-8")
    assert main(["embed", str(tmp_path / "in.txt"), "--out", str(tmp_path / "v.npy")]) == 0
    assert np.array_equal(np.load(tmp_path / "v.npy"), encoder.encode(texts))


def read(name: str) -> list[str]:
    path = DATA / name
    if not path.exists():
        pytest.skip(f"{name}: the texts to measure with are not here")
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return [row if isinstance(row, str) else row["text"] for row in rows]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["blns.jsonl.gz", "tatoeba_112.jsonl.gz"])
def test_every_text_of_a_collection_is_answered(encoder: SentenceEncoder, name: str) -> None:
    texts = read(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = encoder.encode(texts)
        assert np.abs(np.linalg.norm(found, axis=1) - 1).max() < 1e-5
        check_alone(encoder, texts[:: max(1, len(texts) // 200)], found, texts)
    whole = [encoding.ids for encoding in encoder._embedder.tokenizer.encode_batch_fast(texts)]
    reports = encoder.inspect(texts)
    assert [report.tokens for report in reports] == [len(ids) for ids in whole]


def check_alone(
    encoder: SentenceEncoder, some: Sequence[str], found: object, texts: Sequence[str]
) -> None:
    places = {text: place for place, text in enumerate(texts)}
    rows = np.asarray(found)
    for text in some:
        assert np.array_equal(encoder.encode(text), rows[places[text]])
