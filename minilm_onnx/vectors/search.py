"""Which rows of a corpus are most alike to a query."""

from typing import Any, TypedDict

import numpy as np
import numpy.typing as npt

from minilm_onnx.arrays import CodeArray, FloatArray, IndexArray
from minilm_onnx.checks import check_positive
from minilm_onnx.errors import InputError
from minilm_onnx.vectors.inputs import Vectors, as_floats, as_numbers
from minilm_onnx.vectors.nearest import Score, highest, highest_over_chunks, in_chunks
from minilm_onnx.vectors.quantization import (
    Precision,
    check_codes,
    check_ranges,
    dequantize_embeddings,
    quantize_embeddings,
)
from minilm_onnx.vectors.similarity import similarity

# Queries and rows of codes to compare at a time.
CODE_QUERIES, CODE_CHUNK = 100, 50_000
# Bits set in every byte.
BITS = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).sum(axis=1, dtype=np.uint16)


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
    """Find the rows of a corpus that are most alike to each query.

    The results of sentence-transformers' function of this name; of equal scores the earlier row
    comes first. Scores take query_chunk_size * corpus_chunk_size * 12 bytes.

    Args:
        query_embeddings: (Q, H) float, or one vector (H,).
        corpus_embeddings: (N, H) float.
        query_chunk_size: queries to compare at a time.
        corpus_chunk_size: rows to compare them with at a time.
        top_k: hits a query.
        score_function: gives (Q, N) scores of two arrays of rows; higher is more alike.

    Returns:
        For each query its hits, the best first.

    Raises:
        InputError: the shapes do not fit, a score is NaN, or a number is not a positive integer.
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
    hits: list[list[Hit]] = []
    for _, chunk in in_chunks(queries, query_chunk_size):
        places, scores = highest_over_chunks(
            chunk, corpus, corpus_chunk_size, top_k, score_function
        )
        hits += [_hits(*found) for found in zip(places, scores, strict=True)]
    return hits


def semantic_search_quantized(
    query_embeddings: Vectors,
    corpus_embeddings: CodeArray,
    precision: Precision,
    ranges: npt.ArrayLike | None = None,
    *,
    top_k: int = 10,
    rescore_multiplier: int = 4,
) -> list[list[Hit]]:
    """Search a corpus that is stored in int8, uint8, binary or ubinary.

    The nearest candidates by the stored codes alone (for binary by differing bits) are scored
    again with the full query against the codes' values, which wins back most of what the codes
    lost: Yamada et al., https://arxiv.org/abs/2106.00882.

    Args:
        query_embeddings: (Q, H) float, or one vector (H,).
        corpus_embeddings: what `quantize_embeddings` gave, (N, H) or (N, H / 8).
        precision: as given there.
        ranges: (2, H) as used there; needed for "int8" and "uint8".
        top_k: hits a query.
        rescore_multiplier: candidates for each hit.

    Returns:
        As `semantic_search`; the scores are cosines with what the codes stand for.

    Raises:
        InputError: the shapes do not fit, a score is NaN, ranges are missing, or the precision is
            not one of the four.
    """
    top_k = check_positive("top_k", top_k)
    rescore_multiplier = check_positive("rescore_multiplier", rescore_multiplier)
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
        score = _alike_bits(128 if precision == "binary" else 0)
    else:
        # A component's step follows from its range: let the query carry it.
        bounds = check_ranges(ranges, precision, width)
        score = _products(bounds[1] - bounds[0])
    hits: list[list[Hit]] = []
    for _, chunk in in_chunks(queries, CODE_QUERIES):
        nearest, _scores = highest_over_chunks(
            chunk, corpus, CODE_CHUNK, top_k * rescore_multiplier, score
        )
        for query, candidates in zip(chunk, nearest, strict=True):
            values = dequantize_embeddings(corpus[candidates], precision, ranges)
            (order,), (best,) = highest(similarity(query, values[:, : queries.shape[1]]), top_k)
            hits.append(_hits(candidates[order], best))
    return hits


def _hits(places: IndexArray, scores: FloatArray) -> list[Hit]:
    return [
        {"corpus_id": int(place), "score": float(score)}
        for place, score in zip(places, scores, strict=True)
    ]


def _products(steps: FloatArray) -> Score:
    """Score codes of a byte a component, but for a constant a query."""

    def score(queries: FloatArray, codes: FloatArray) -> FloatArray:
        carried: FloatArray = queries * steps
        products: FloatArray = carried @ codes.astype(np.float32).T
        return products

    return score


def _alike_bits(offset: int) -> Score:
    """Score codes of a bit a component by how few differ from the query's signs."""

    def score(queries: FloatArray, codes: FloatArray) -> FloatArray:
        # Minus 128 as int8 is the byte with its highest bit flipped.
        unsigned = codes.view(np.uint8) ^ np.uint8(offset)
        bits = quantize_embeddings(queries, "ubinary").astype(np.uint8)
        alike = [-BITS[unsigned ^ row].sum(axis=1, dtype=np.int32) for row in bits]
        scores: FloatArray = np.stack(alike).astype(np.float32)
        return scores

    return score
