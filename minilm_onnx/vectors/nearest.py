"""The highest scores of each query, looked for a chunk of the corpus at a time."""

from collections.abc import Callable, Iterator

import numpy as np

from minilm_onnx.arrays import FloatArray, IndexArray
from minilm_onnx.vectors.distinct import Distinct
from minilm_onnx.vectors.inputs import refuse_nan

Score = Callable[[FloatArray, FloatArray], FloatArray]


def highest_over_chunks(
    queries: FloatArray, corpus: Distinct, size: int, top_k: int, score: Score
) -> list[tuple[IndexArray, FloatArray]]:
    """Give the places and scores of the best rows of a corpus for each query, (K,) each.

    The best come first; of equal scores, which equal rows have, the earlier place.
    """
    numbers: IndexArray = np.empty((len(queries), 0), dtype=np.intp)
    scores: FloatArray = np.empty((len(queries), 0), dtype=np.float32)
    for first, chunk in in_chunks(corpus.rows, size):
        found, best = highest(score(queries, chunk), top_k)
        numbers, scores = np.hstack([numbers, found + first]), np.hstack([scores, best])
        kept, scores = highest(scores, top_k)
        numbers = np.take_along_axis(numbers, kept, axis=1)
    return [corpus.spread(*found, top_k) for found in zip(numbers, scores, strict=True)]


def in_chunks(rows: FloatArray, size: int) -> Iterator[tuple[int, FloatArray]]:
    """Give `size` rows at a time, each chunk with the place of its first row."""
    for first in range(0, len(rows), size):
        yield first, rows[first : first + size]


def highest(scores: FloatArray, count: int) -> tuple[IndexArray, FloatArray]:
    """Give the places and values of the highest scores of each row, the highest first.

    Of equal scores the earlier place comes first.
    """
    scores = np.asarray(scores)
    refuse_nan("scores", scores)
    if count < scores.shape[1]:
        # All that reach the last place's score, so that ties at the edge are settled by place.
        edges = -np.partition(-scores, count - 1, axis=1)[:, count - 1]
        places = np.empty((len(scores), count), dtype=np.intp)
        for found, row, edge in zip(places, scores, edges, strict=True):
            near = np.flatnonzero(row >= edge)
            found[:] = near[np.argsort(-row[near], kind="stable")[:count]]
    else:
        places = np.argsort(-scores, axis=1, kind="stable")
    return places, np.take_along_axis(scores, places, axis=1)
