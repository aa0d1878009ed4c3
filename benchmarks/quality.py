"""What int8 costs on published benchmarks: python -m benchmarks.quality --data DIR.

DIR holds sts/*.tsv.gz (score, tab, text, tab, text), retrieval/scifact/ in BEIR's layout and
corpora/mixed_10k.jsonl.gz; a part that is missing is named and left out. Needs
export/requirements.txt, whose scipy and scikit-learn compute the metrics.
"""

import argparse
import csv
import gzip
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr
from sklearn.metrics import ndcg_score

from export.checkpoint import DEFAULT_MODEL, find_checkpoint
from export.steps import export
from minilm_onnx import InputError, SentenceEncoder
from minilm_onnx.arrays import FloatArray
from minilm_onnx.cli import report_errors

STS = {"STS-B test": "stsb_en_test", "STS13": "sts13", "STS15": "sts15"}
CORPUS_TEXTS = 2000


def sts(encoder: SentenceEncoder, path: Path) -> float:
    """Spearman correlation of cosine and human score, times 100."""
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    scores = [float(row[0]) for row in rows]
    left, right = (encoder.encode([row[side] for row in rows]) for side in (1, 2))
    return 100.0 * float(spearmanr(scores, (left * right).sum(axis=1)).statistic)


def scifact(encoder: SentenceEncoder, folder: Path) -> float:
    """nDCG@10 over the test queries, times 100; documents are title, space, text, as in MTEB."""
    documents, queries, truth = read_scifact(folder)
    vectors = encoder.encode([f"{d['title']} {d['text']}".strip() for d in documents])
    return ndcg(truth, encoder.encode(queries) @ vectors.T)


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
    return 100.0 * float(ndcg_score(truth, scores, k=10))


def json_lines(path: Path) -> Iterator[dict[str, str]]:
    """Read a packed file of JSON lines."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        yield from map(json.loads, file)


def report(data: Path, fp32: SentenceEncoder, int8: SentenceEncoder) -> None:
    """Print the table, a row as soon as it is known."""
    print("| | fp32 | int8 | delta |\n|---|---|---|---|")
    for name, stem in STS.items():
        path = data / "sts" / f"{stem}.tsv.gz"
        if absent(path):
            continue
        exact, found = sts(fp32, path), sts(int8, path)
        print(
            f"| {name}, Spearman | {exact:.2f} | {found:.2f} | {found - exact:+.2f} |", flush=True
        )
    folder = data / "retrieval" / "scifact"
    if not absent(folder):
        exact, found = scifact(fp32, folder), scifact(int8, folder)
        print(
            f"| SciFact, nDCG@10 | {exact:.2f} | {found:.2f} | {found - exact:+.2f} |", flush=True
        )
    path = data / "corpora" / "mixed_10k.jsonl.gz"
    if not absent(path):
        texts = [row["text"] for row in json_lines(path)][:CORPUS_TEXTS]
        cosines = (fp32.encode(texts) * int8.encode(texts)).sum(axis=1)
        print(f"| {len(texts)} mixed texts, mean cosine | 1 | {cosines.mean():.5f} | |")
        print(f"| {len(texts)} mixed texts, minimum cosine | 1 | {cosines.min():.5f} | |")


def absent(path: Path) -> bool:
    """Say that a part of the data is missing."""
    if not path.exists():
        print(f"quality: {path} is missing: left out", file=sys.stderr)
    return not path.exists()


def main(arguments: list[str]) -> int:
    """Compare the bundled model, or another, with fp32."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="see above")
    parser.add_argument("--fp32", metavar="DIR", help="fp32 folder; default: export one")
    parser.add_argument("--int8", metavar="DIR", help="int8 folder; default: the bundled one")
    options = parser.parse_args(arguments)
    if not options.data.is_dir():
        raise InputError(f"--data {options.data}: expected a folder, got none; see --help")
    int8 = SentenceEncoder(options.int8)
    if options.fp32:
        report(options.data, SentenceEncoder(options.fp32), int8)
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "fp32"
        export(find_checkpoint(DEFAULT_MODEL), folder, "fp32")
        report(options.data, SentenceEncoder(folder), int8)
    return 0


if __name__ == "__main__":
    sys.exit(report_errors(main, sys.argv[1:]))
