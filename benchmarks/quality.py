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


def read_sts(path: Path) -> tuple[list[float], list[str]]:
    """Give the scores of N pairs, and 2 N texts: all first ones, then all second ones."""
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [float(row[0]) for row in rows], [row[side] for side in (1, 2) for row in rows]


def spearman(scores: list[float], vectors: FloatArray) -> float:
    """Spearman correlation of cosine and human score, times 100; vectors are (2 N, H)."""
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
    return 100.0 * float(ndcg_score(truth, scores, k=10))


def json_lines(path: Path) -> Iterator[dict[str, str]]:
    """Read a packed file of JSON lines."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        yield from map(json.loads, file)


def report(data: Path, fp32: SentenceEncoder, int8: SentenceEncoder) -> None:
    """Print the table, a row as soon as it is known."""
    print("| | fp32 | int8 | delta | mean cosine | minimum |\n|---|---|---|---|---|---|")
    for name, stem in STS.items():
        path = data / "sts" / f"{stem}.tsv.gz"
        if absent(path):
            continue
        scores, texts = read_sts(path)
        vectors = fp32.encode(texts), int8.encode(texts)
        print_row(f"{name}, Spearman", [spearman(scores, each) for each in vectors], *vectors)
    folder = data / "retrieval" / "scifact"
    if not absent(folder):
        documents, queries, truth = read_scifact(folder)
        # As in MTEB.
        texts = [f"{document['title']} {document['text']}".strip() for document in documents]
        vectors = fp32.encode([*queries, *texts]), int8.encode([*queries, *texts])
        count = len(queries)
        figures = [ndcg(truth, each[:count] @ each[count:].T) for each in vectors]
        print_row("SciFact, nDCG@10", figures, *vectors)
    path = data / "corpora" / "mixed_10k.jsonl.gz"
    if not absent(path):
        texts = [row["text"] for row in json_lines(path)][:CORPUS_TEXTS]
        print_row(f"{len(texts)} mixed texts", [], fp32.encode(texts), int8.encode(texts))


def print_row(name: str, figures: list[float], fp32: FloatArray, int8: FloatArray) -> None:
    """Print what two models score, and how near their unit vectors are."""
    cells = ["", "", ""]
    if figures:
        exact, found = figures
        cells = [f"{exact:.2f}", f"{found:.2f}", f"{found - exact:+z.2f}"]
    cosines = (fp32 * int8).sum(axis=1)
    cells += [f"{cosines.mean():z.5f}", f"{cosines.min():z.5f}"]
    print(f"| {name} | {' | '.join(cells)} |", flush=True)


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
