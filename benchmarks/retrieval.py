"""What search finds, weighs and takes: python -m benchmarks.retrieval --data DIR --out FILE.

DIR holds retrieval/scifact/ in BEIR's layout. Its documents are indexed as anybody would, with
their titles as headings; a document's rank is that of its best passage. Then an index of 100,000
passages, made of those and of copies of them whose vectors are moved a little, is searched by
fresh processes of the command line in turns. --publish writes the figures into docs/search.md.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np

from benchmarks import ROOT
from benchmarks.machine import commit
from benchmarks.publish import fill_page
from benchmarks.quality import ndcg, read_scifact
from minilm_onnx import InputError, SentenceEncoder
from minilm_onnx.arrays import FloatArray
from minilm_onnx.cli import report_errors
from minilm_onnx.engine.cpus import cpu_name
from minilm_onnx.index.changes import replace_source
from minilm_onnx.index.passages import Passage
from minilm_onnx.index.ranking import Ranked, by_words, fused, nearest
from minilm_onnx.index.storage import Storage
from minilm_onnx.index.textindex import TextIndex
from minilm_onnx.reading.documents import Document
from minilm_onnx.vectors.pooling import l2_normalize

PASSAGES = 100_000
DEPTH = 100
ROUNDS = 7
QUESTION = "does vitamin D prevent fractures in older people"
STORAGES: tuple[Storage, ...] = get_args(Storage)
DOCUMENT = ROOT / "docs" / "search.md"


class Known:
    """An encoder that embeds each text once, whatever asks for it."""

    def __init__(self, encoder: SentenceEncoder) -> None:
        """Start with nothing known."""
        self.encoder = encoder
        self.vectors: dict[str, FloatArray] = {}

    def __call__(self, texts: Sequence[str]) -> FloatArray:
        """Give (N, H) float32 unit rows."""
        new = [text for text in dict.fromkeys(texts) if text not in self.vectors]
        self.vectors |= zip(new, self.encoder.encode(new), strict=True)
        return np.stack([self.vectors[text] for text in texts])


def fill(index: TextIndex, sources: dict[str, list[Passage]], embed: Known) -> None:
    """Put passages into an index, by the way of TextIndex.write but for the vectors."""
    for name, passages in sources.items():
        replace_source(index._store, index._facts, name, b"", passages, embed, lambda count: None)


def rankings(index: TextIndex, vector: FloatArray, query: str) -> dict[str, list[Ranked]]:
    """Rank passages by vectors, by words, and by both, as TextIndex.search does."""
    with index._reading() as connection:
        both = [
            nearest(connection, index._facts, vector, DEPTH),
            by_words(connection, query, DEPTH),
        ]
    return {"vectors": both[0], "words": both[1], "hybrid": fused(both, DEPTH)}


def by_document(ranking: list[Ranked], places: dict[int, int], count: int) -> FloatArray:
    """Score documents by the rank of their best passage, (D,)."""
    scores: FloatArray = np.zeros(count, dtype=np.float32)
    for rank, (passage, _) in enumerate(ranking, 1):
        place = places[passage]
        scores[place] = max(scores[place], 1 / rank)
    return scores


def measure_quality(
    folder: Path, scratch: Path, encoder: SentenceEncoder
) -> tuple[dict[str, Any], dict[str, list[Passage]], Known]:
    """Give nDCG@10 and recall@10 by storage, and what was indexed."""
    documents, queries, truth = read_scifact(folder)
    embed = Known(encoder)
    whole = embed([f"{d['title']} {d['text']}".strip() for d in documents])
    asked = encoder.encode(queries)
    found: dict[str, Any] = {
        "documents": len(documents),
        "queries": len(queries),
        "ndcg_whole_documents": ndcg(truth, asked @ whole.T),
    }
    sources: dict[str, list[Passage]] = {}
    exact: list[set[int]] = []
    for storage in STORAGES:
        path = scratch / f"{storage}.db"
        with TextIndex(path, encoder, storage=storage) as index:
            if not sources:
                splitter = index.splitter()
                for place, document in enumerate(documents):
                    text = f"# {document['title']}\n\n{document['text']}"
                    sources[str(place)] = list(splitter.split(Document(text, markdown=True)))
            fill(index, sources, embed)
            places = {passage.id: int(passage.source) for passage in index.passages()}
            ranked = [rankings(index, v, q) for v, q in zip(asked, queries, strict=True)]
            with index._reading() as connection:
                blocks = "SELECT sum(length(vectors)) FROM vectors_vector_chunks00"
                codes = "SELECT coalesce(sum(length(codes)), 0) FROM passages"
                vectors_bytes = connection.execute(f"SELECT ({blocks}) + ({codes})").get
        tops = [{passage for passage, _ in one["vectors"][:10]} for one in ranked]
        exact = exact or tops
        overlaps = [len(a & b) / 10 for a, b in zip(tops, exact, strict=True)]
        found[storage] = {
            **{
                f"ndcg_{how}": ndcg(
                    truth,
                    np.stack([by_document(one[how], places, len(documents)) for one in ranked]),
                )
                for how in ("vectors", "words", "hybrid")
            },
            "recall_at_10": statistics.mean(overlaps),
            "passages": len(places),
            "vector_mib": vectors_bytes / 2**20,
            "file_mib": path.stat().st_size / 2**20,
        }
    return found, sources, embed


def measure_speed(
    scratch: Path, encoder: SentenceEncoder, sources: dict[str, list[Passage]], embed: Known
) -> dict[str, Any]:
    """Time searches over many passages, process start included, in turns."""
    random = np.random.default_rng(7)
    passages = [passage for one in sources.values() for passage in one]
    known = embed([passage.embedded for passage in passages])
    repeats = -(-PASSAGES // len(passages))
    rows = np.tile(known, (repeats, 1))[:PASSAGES]
    noise = random.standard_normal(rows.shape).astype(np.float32) * np.float32(0.02)
    many = {
        str(first): [
            Passage(f"{place} {passages[place % len(passages)].text}", 1, 1)
            for place in range(first, min(first + 10_000, PASSAGES))
        ]
        for first in range(0, PASSAGES, 10_000)
    }
    texts = [passage.embedded for one in many.values() for passage in one]
    moved = Known(encoder)
    moved.vectors = dict(zip(texts, l2_normalize(rows + noise), strict=True))
    found: dict[str, Any] = {}
    commands: dict[str, Callable[[], None]] = {}
    for storage in STORAGES:
        path = scratch / f"many_{storage}.db"
        start = time.perf_counter()
        with TextIndex(path, encoder, storage=storage) as index:
            fill(index, many, moved)
        found[storage] = {
            "insert_s": time.perf_counter() - start,
            "file_mib": path.stat().st_size / 2**20,
        }
        for how, options in (("vectors", ()), ("hybrid", ("--hybrid",))):
            command = [sys.executable, "-m", "minilm_onnx", "search", "--db", str(path)]

            def run(command: Sequence[str] = (*command, QUESTION, *options)) -> None:
                subprocess.run(command, check=True, capture_output=True)

            commands[f"{storage} {how}"] = run
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(ROUNDS):
        for name, run_once in commands.items():
            start = time.perf_counter()
            run_once()
            seconds[name].append(time.perf_counter() - start)
    for name, times in seconds.items():
        storage_name, how = name.split()
        found[storage_name][f"{how}_s"] = statistics.median(times)
        found[storage_name][f"{how}_rounds_s"] = times
    return found


def tables(found: dict[str, Any]) -> str:
    """Give the figures in words and as tables."""
    quality, speed = found["quality"], found["speed"]
    exact = quality["float32"]
    lines = [
        f"nDCG@10 of SciFact, {quality['documents']:,} documents and {quality['queries']} "
        "questions ([quality.md](quality.md#in-search-results) has it for whole documents, as MTEB "
        f"measures it). The index splits the documents into {exact['passages']:,} passages below "
        "their titles, and ranks a document by its best passage:",
        "",
        "| storage | vectors | words (BM25) | hybrid | recall@10 of float32 | bytes a passage "
        "| file MiB |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for storage in STORAGES:
        row = quality[storage]
        each = row["vector_mib"] * 2**20 / row["passages"]
        lines.append(
            f"| {storage} | {row['ndcg_vectors']:.2f} | {row['ndcg_words']:.2f} | "
            f"{row['ndcg_hybrid']:.2f} | {row['recall_at_10']:.3f} | {each:.0f} | "
            f"{row['file_mib']:.0f} |"
        )
    lines += [
        "",
        f"Seconds from the start of `minilm-onnx search` to its end over {found['passages']:,} "
        f"passages, on {found['cpu']}, {found['threads']} threads, medians of {ROUNDS}:",
        "",
        "| storage | vectors | hybrid | file MiB |",
        "| --- | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {storage} | {row['vectors_s']:.2f} | {row['hybrid_s']:.2f} | {row['file_mib']:.0f} |"
        for storage, row in speed.items()
    ]
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """Measure, and write what was found."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.retrieval", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="see above")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="results, as JSON")
    parser.add_argument("--publish", action="store_true", help="write docs/search.md")
    options = parser.parse_args(arguments)
    folder = options.data / "retrieval" / "scifact"
    if not folder.is_dir():
        raise InputError(f"{folder}: expected SciFact in BEIR's layout, got none; see --help")
    encoder = SentenceEncoder()
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        quality, sources, embed = measure_quality(folder, scratch, encoder)
        speed = measure_speed(scratch, encoder, sources, embed)
    found = {
        "commit": commit(ROOT),
        "cpu": cpu_name(),
        "threads": encoder.policy.threads,
        "passages": PASSAGES,
        "quality": quality,
        "speed": speed,
    }
    options.out.write_text(json.dumps(found, indent=2) + "\n", "utf-8")
    if options.publish:
        fill_page(DOCUMENT, {"measured": tables(found)})
    print(tables(found))
    return 0


if __name__ == "__main__":
    sys.exit(report_errors(main, sys.argv[1:]))
