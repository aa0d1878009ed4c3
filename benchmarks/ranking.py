"""What int8, and then vectors stored in bytes or bits, change in rankings."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from minilm_onnx.arrays import FloatArray
from minilm_onnx.vectors.quantization import Precision, quantize_embeddings, ranges_of
from minilm_onnx.vectors.search import Hit, semantic_search, semantic_search_quantized

TOP = 10
STORED: tuple[Precision, ...] = ("float32", "int8", "binary")
# Each step adds to the one before: the model, then how its vectors are stored.
STEPS: tuple[tuple[str, Precision], ...] = (
    ("fp32", "float32"),
    *(("int8", precision) for precision in STORED),
)


def top(
    queries: FloatArray, corpus: FloatArray, precision: Precision, *, own: bool = False
) -> list[list[int]]:
    """Give the rows of a corpus that are nearest to each query, at most ten, the best first.

    Args:
        queries: (Q, H) float32 unit rows, compared in full precision.
        corpus: (N, H) float32 unit rows, stored before they are compared.
        precision: how they are stored.
        own: query q is the corpus's row q, which is not counted.
    """
    count = TOP + own
    if precision == "float32":
        found = semantic_search(queries, corpus, top_k=count)
    else:
        ranges = ranges_of(corpus) if precision == "int8" else None
        codes: Any = quantize_embeddings(corpus, precision, ranges)
        found = semantic_search_quantized(queries, codes, precision, ranges, top_k=count)
    return [places(hits, row if own else -1) for row, hits in enumerate(found)]


def places(hits: Sequence[Hit], left_out: int) -> list[int]:
    """Give the rows of hits, at most ten, without one."""
    return [hit["corpus_id"] for hit in hits if hit["corpus_id"] != left_out][:TOP]


def overlap(found: Sequence[Sequence[int]], expected: Sequence[Sequence[int]]) -> float:
    """Give the mean share of the expected rows that were found."""
    shares = [len({*a} & {*b}) / len(b) for a, b in zip(found, expected, strict=True)]
    return float(np.mean(shares))


def as_scores(found: Sequence[Sequence[int]], count: int) -> FloatArray:
    """Give (Q, N) scores that rank N rows as found: one over the rank, 0 for the others."""
    scores: FloatArray = np.zeros((len(found), count), dtype=np.float32)
    for line, rows in zip(scores, found, strict=True):
        line[list(rows)] = 1 / np.arange(1, len(rows) + 1)
    return scores


def rankings(
    queries: dict[str, FloatArray], corpus: dict[str, FloatArray], *, own: bool = False
) -> list[list[list[int]]]:
    """Rank a corpus after each of STEPS.

    Args:
        queries: (Q, H) of "fp32" and "int8".
        corpus: (N, H) of both.
        own: query q is the corpus's row q, which is not counted.
    """
    return [top(queries[model], corpus[model], stored, own=own) for model, stored in STEPS]


def overlaps(found: Sequence[list[list[int]]]) -> list[float]:
    """Give, for each of STEPS, how much of the first step's rows are left."""
    return [round(overlap(each, found[0]), 4) for each in found]


def bytes_of(width: int, precision: Precision) -> int:
    """Give what a vector of so many components takes."""
    sizes: dict[str, Any] = {"float32": 4 * width, "int8": width, "binary": -(-width // 8)}
    return int(sizes[precision])
