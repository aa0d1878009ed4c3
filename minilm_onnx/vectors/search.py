"""Which rows of a corpus are most alike to a query."""

from typing import Any, TypedDict

import numpy as np
import numpy.typing as npt

from minilm_onnx.arrays import CodeArray, FloatArray, IndexArray
from minilm_onnx.checks import check_positive
from minilm_onnx.errors import InputError
from minilm_onnx.vectors.distinct import distinct
from minilm_onnx.vectors.inputs import Vectors, as_floats, as_numbers
from minilm_onnx.vectors.nearest import Score, highest_over_chunks, in_chunks
from minilm_onnx.vectors.pooling import l2_normalize
from minilm_onnx.vectors.quantization import (
    TYPES,
    Precision,
    check_codes,
    check_ranges,
    dequantize_embeddings,
)
from minilm_onnx.vectors.similarity import similarity

# Queries and rows of codes to compare at a time: many queries share what is made of a row.
CODE_QUERIES, CODE_CHUNK = 500, 4096
# The signs that every byte stands for, (256, 8).
SIGNS = 2 * np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).astype(np.float32) - 1


class Hit(TypedDict):
    """One result: the row of the corpus, and how alike it is."""

    corpus_id: int
    score: float


def semantic_search(
    query_embeddings: Vectors,
    corpus_embeddings: Vectors,
    query_chunk_size: int = 100,
    corpus_chunk_size: int = 50_000,
    top_k: int = 10,
    score_function: Score = similarity,
) -> list[list[Hit]]:
    """Find the rows of a corpus that are most similar to each query.

    The results are those of the function of this name in sentence-transformers, except that equal
    rows have equal scores, and with equal scores the earlier row comes first. Scores need
    query_chunk_size * corpus_chunk_size * 12 bytes of memory.

    Args:
        query_embeddings: (Q, H) float, or one vector (H,).
        corpus_embeddings: (N, H) float.
        query_chunk_size: how many queries to compare at a time.
        corpus_chunk_size: how many rows to compare them with at a time.
        top_k: maximum number of hits per query.
        score_function: computes (Q, N) scores of two arrays of rows; higher means more similar.

    Returns:
        A list of hits for each query, best first.

    Raises:
        InputError: the shapes do not match, a score is NaN, or a number is not a positive integer.
    """
    top_k = check_positive("top_k", top_k)
    query_chunk_size = check_positive("query_chunk_size", query_chunk_size)
    corpus_chunk_size = check_positive("corpus_chunk_size", corpus_chunk_size)
    queries = np.atleast_2d(as_numbers("query_embeddings: expected (Q, H)", query_embeddings))
    corpus = as_numbers("corpus_embeddings: expected (N, H)", corpus_embeddings)
    if queries.ndim != 2 or corpus.ndim != 2 or queries.shape[1] != corpus.shape[1]:
        raise InputError(
            f"semantic_search: expected (Q, H) queries and an (N, H) corpus, got {queries.shape} "
            f"and {corpus.shape}; give vectors of one model"
        )
    rows = distinct(corpus)
    hits: list[list[Hit]] = []
    for _, chunk in in_chunks(queries, query_chunk_size):
        found = highest_over_chunks(chunk, rows, corpus_chunk_size, top_k, score_function)
        hits += [_hits(*best) for best in found]
    return hits


def semantic_search_quantized(
    query_embeddings: Vectors,
    corpus_embeddings: CodeArray,
    precision: Precision,
    ranges: npt.ArrayLike | None = None,
    *,
    top_k: int = 10,
) -> list[list[Hit]]:
    """Search a corpus that is stored in int8, uint8, binary or ubinary.

    The unquantised query is compared with the vector that each row of codes stands for, which
    regains most of the lost quality: Yamada et al., https://arxiv.org/abs/2106.00882.

    Args:
        query_embeddings: (Q, H) float, or one vector (H,).
        corpus_embeddings: the result of `quantize_embeddings`, (N, H) or (N, H / 8).
        precision: the one that was used there.
        ranges: (2, H), the ranges that were used there; required for "int8" and "uint8".
        top_k: maximum number of hits per query.

    Returns:
        As in `semantic_search`; scores are cosines with the vectors that the codes stand for.

    Raises:
        InputError: the shapes do not match, a score is NaN, ranges are missing, or the precision
            is not one of the four.
    """
    top_k = check_positive("top_k", top_k)
    queries = np.atleast_2d(as_floats("query_embeddings: expected (Q, H) floats", query_embeddings))
    corpus: Any = check_codes(corpus_embeddings, precision)
    if queries.ndim != 2:
        raise InputError(
            f"query_embeddings: expected (Q, H) or (H,), got {queries.shape}; encode texts"
        )
    binary = precision in ("binary", "ubinary")
    width = -(-queries.shape[1] // 8) if binary else queries.shape[1]
    if corpus.shape[1] != width:
        raise InputError(
            f"corpus_embeddings: expected (N, {width}) codes of {precision} for queries of "
            f"{queries.shape[1]} components, got {corpus.shape}; give vectors of one model"
        )
    if binary:
        score = _by_signs(128 if precision == "binary" else 0)
    else:
        score = _by_values(precision, check_ranges(ranges, precision, width))
    rows = distinct(corpus)
    hits: list[list[Hit]] = []
    for _, chunk in in_chunks(queries, CODE_QUERIES):
        hits += [
            _hits(*best) for best in highest_over_chunks(chunk, rows, CODE_CHUNK, top_k, score)
        ]
    return hits


def _hits(places: IndexArray, scores: FloatArray) -> list[Hit]:
    return [
        {"corpus_id": int(place), "score": float(score)}
        for place, score in zip(places, scores, strict=True)
    ]


def _by_values(precision: Precision, ranges: FloatArray) -> Score:
    """Score codes of a byte a component, without the values that they stand for.

    A value is middle + step * code, so that products with it, and its length, follow from those
    with the codes.
    """
    middles = dequantize_embeddings(
        np.zeros((1, ranges.shape[1]), TYPES[precision]), precision, ranges
    )[0]
    steps = (ranges[1] - ranges[0]) / 255

    def score(queries: FloatArray, codes: Any) -> FloatArray:
        unit = l2_normalize(queries)
        values = codes.astype(np.float32)
        scores: FloatArray = (unit * steps) @ values.T
        scores += (unit @ middles)[:, None]
        squares = middles @ middles + 2 * (values @ (middles * steps))
        squares += np.square(values, out=values) @ (steps * steps)
        scores /= np.sqrt(squares.clip(min=1e-24))
        return scores

    return score


def _by_signs(offset: int) -> Score:
    """Score codes of a bit a component, by what each byte of them adds for a query."""

    def score(queries: FloatArray, codes: FloatArray) -> FloatArray:
        # Minus 128 as int8 is the byte with its highest bit flipped.
        columns = np.ascontiguousarray((codes.view(np.uint8) ^ np.uint8(offset)).T)
        unit = l2_normalize(queries) / np.sqrt(np.float32(queries.shape[1]))
        padded = np.pad(unit, ((0, 0), (0, 8 * len(columns) - unit.shape[1])))
        scores = np.zeros((len(queries), len(codes)), dtype=np.float32)
        for line, query in zip(scores, padded, strict=True):
            for column, part in zip(columns, query.reshape(-1, 8), strict=True):
                line += (SIGNS @ part)[column]
        return scores

    return score
