"""Which vectors are near which: search, duplicates, communities."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, TypedDict

import numpy as np
import numpy.typing as npt

from minilm_onnx.arrays import CodeArray, FloatArray, IndexArray
from minilm_onnx.checks import check_positive
from minilm_onnx.errors import InputError, shown
from minilm_onnx.vectors.pooling import l2_normalize
from minilm_onnx.vectors.vectors import (
    Precision,
    Vectors,
    as_floats,
    as_numbers,
    check_codes,
    check_ranges,
    dequantize_embeddings,
    quantize_embeddings,
    refuse_nan,
    similarity,
)

Score = Callable[[FloatArray, FloatArray], FloatArray]
# Queries and rows of codes to compare at a time.
CODE_QUERIES, CODE_CHUNK = 100, 50_000
# Bits set in every byte.
BITS = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).sum(axis=1, dtype=np.uint16)


class Encoder(Protocol):
    """What has an `encode`: a SentenceEncoder, or one's own."""

    def encode(
        self, sentences: Sequence[str], *, batch_size: int | None, show_progress_bar: bool
    ) -> FloatArray:
        """Embed texts, (N, H) float32."""


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
    for _, chunk in _chunks(queries, query_chunk_size):
        places, scores = _best_over_chunks(chunk, corpus, corpus_chunk_size, top_k, score_function)
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
    for _, chunk in _chunks(queries, CODE_QUERIES):
        nearest, _scores = _best_over_chunks(
            chunk, corpus, CODE_CHUNK, top_k * rescore_multiplier, score
        )
        for query, candidates in zip(chunk, nearest, strict=True):
            values = dequantize_embeddings(corpus[candidates], precision, ranges)
            (order,), (best,) = _best(similarity(query, values[:, : queries.shape[1]]), top_k)
            hits.append(_hits(candidates[order], best))
    return hits


def paraphrase_mining(
    model: Encoder,
    sentences: Sequence[str],
    show_progress_bar: bool = False,
    batch_size: int | None = None,
    query_chunk_size: int = 1000,
    corpus_chunk_size: int = 50_000,
    max_pairs: int = 500_000,
    top_k: int = 100,
    score_function: Score = similarity,
) -> list[list[float | int]]:
    """Embed texts and find the pairs that are most alike; see `paraphrase_mining_embeddings`."""
    embeddings = model.encode(sentences, batch_size=batch_size, show_progress_bar=show_progress_bar)
    return paraphrase_mining_embeddings(
        embeddings, query_chunk_size, corpus_chunk_size, max_pairs, top_k, score_function
    )


def paraphrase_mining_embeddings(
    embeddings: Vectors,
    query_chunk_size: int = 1000,
    corpus_chunk_size: int = 50_000,
    max_pairs: int = 500_000,
    top_k: int = 100,
    score_function: Score = similarity,
) -> list[list[float | int]]:
    """Find the pairs of vectors that are most alike, each with its `top_k` nearest at most.

    As sentence-transformers' function of this name, but that `max_pairs` counts different pairs
    and `top_k` others of the whole collection; of equal scores the earlier pair comes first.

    Args:
        embeddings: (N, H) float.
        query_chunk_size: rows to compare at a time.
        corpus_chunk_size: rows to compare them with at a time.
        max_pairs: pairs to give at most.
        top_k: others to look at for each.
        score_function: see `semantic_search`.

    Returns:
        [score, i, j] with i < j, the best first.

    Raises:
        InputError: see `semantic_search`.
    """
    max_pairs = check_positive("max_pairs", max_pairs)
    top_k = check_positive("top_k", top_k)
    query_chunk_size = check_positive("query_chunk_size", query_chunk_size)
    corpus_chunk_size = check_positive("corpus_chunk_size", corpus_chunk_size)
    rows = as_numbers("embeddings: expected (N, H) floats", embeddings)
    if rows.ndim != 2:
        raise InputError(f"embeddings: expected (N, H), got {rows.shape}; encode a list of texts")
    scores: FloatArray = np.empty(0, dtype=np.float32)
    pairs: IndexArray = np.empty((0, 2), dtype=np.intp)
    for first, chunk in _chunks(rows, query_chunk_size):
        # One more than wanted, since nearly everyone's nearest is itself.
        places, best = _best_over_chunks(chunk, rows, corpus_chunk_size, top_k + 1, score_function)
        own = np.broadcast_to(np.arange(first, first + len(chunk))[:, None], places.shape)
        kept = places != own
        kept &= np.cumsum(kept, axis=1) <= top_k
        new = np.sort(np.stack([own[kept], places[kept]], axis=1), axis=1)
        scores, pairs = np.concatenate([scores, best[kept]]), np.concatenate([pairs, new])
        pairs, firsts = np.unique(pairs, axis=0, return_index=True)
        scores = scores[firsts]
        order = np.argsort(-scores, kind="stable")[:max_pairs]
        scores, pairs = scores[order], pairs[order]
    return [[score, i, j] for score, (i, j) in zip(scores.tolist(), pairs.tolist(), strict=True)]


def community_detection(
    embeddings: Vectors,
    threshold: float = 0.75,
    min_community_size: int = 10,
    batch_size: int = 1024,
) -> list[list[int]]:
    """Find groups of vectors that are all near one of them.

    As sentence-transformers' function of this name: every vector with enough others within the
    threshold is the centre of a group; from the largest group on, each takes what no larger one
    took, and what is then too small is dropped.

    Args:
        embeddings: (N, H) float.
        threshold: least cosine to the centre.
        min_community_size: least number of vectors in a group, its centre included.
        batch_size: rows to compare with all at a time.

    Returns:
        Positions of each group, its centre first; the largest group first.

    Raises:
        InputError: the vectors are not (N, H) or hold NaN, the threshold is no number, or another
            number is not a positive integer.
    """
    check_threshold(threshold)
    min_community_size = check_positive("min_community_size", min_community_size)
    batch_size = check_positive("batch_size", batch_size)
    unit = _unit_rows(embeddings)
    least = min(min_community_size, len(unit))
    groups: list[IndexArray] = []
    for _, chunk in _chunks(unit, batch_size):
        for cosines in chunk @ unit.T:
            near = np.flatnonzero(cosines >= threshold)
            if len(near) >= least:
                groups.append(near[np.argsort(-cosines[near], kind="stable")])
    taken = np.zeros(len(unit), dtype=bool)
    kept: list[IndexArray] = []
    for group in sorted(groups, key=len, reverse=True):
        rest = group[~taken[group]]
        if len(rest) >= least:
            kept.append(rest)
            taken[rest] = True
    return [group.tolist() for group in sorted(kept, key=len, reverse=True)]


def near_duplicates(
    embeddings: Vectors, threshold: float = 0.9, batch_size: int = 1024
) -> list[tuple[int, int, float]]:
    """Find the vectors that are near an earlier one.

    Read from the first to the last, a vector is kept unless one that was kept is within the
    threshold; of several the nearest is its original.

    Args:
        embeddings: (N, H) float.
        threshold: least cosine.
        batch_size: rows to compare with all at a time.

    Returns:
        (row, its original, their cosine) of each that is not kept, in order.

    Raises:
        InputError: the vectors are not (N, H) or hold NaN, the threshold is no number, or
            batch_size not a positive integer.
    """
    check_threshold(threshold)
    batch_size = check_positive("batch_size", batch_size)
    unit = _unit_rows(embeddings)
    kept = np.ones(len(unit), dtype=bool)
    found: list[tuple[int, int, float]] = []
    for first, chunk in _chunks(unit, batch_size):
        cosines = chunk @ unit[: first + len(chunk)].T
        for row, line in enumerate(cosines, first):
            near = np.flatnonzero((line[:row] >= threshold) & kept[:row])
            if len(near):
                original = near[np.argmax(line[near])]
                kept[row] = False
                found.append((row, int(original), float(line[original])))
    return found


def _unit_rows(embeddings: Vectors) -> FloatArray:
    """Give vectors scaled to length 1, (N, H) float32.

    Raises:
        InputError: they are not (N, H), or hold NaN.
    """
    rows = as_floats("embeddings: expected (N, H) floats", embeddings)
    if rows.ndim != 2:
        raise InputError(f"embeddings: expected (N, H), got {rows.shape}; encode a list of texts")
    unit = l2_normalize(rows)
    refuse_nan("embeddings", unit)
    return unit


def check_threshold(threshold: float) -> None:
    """Raise InputError unless a threshold is a number."""
    if isinstance(threshold, bool) or not isinstance(threshold, int | float | np.number):
        raise InputError(f"threshold: expected a number, got {shown(threshold)}; leave it out")
    if np.isnan(threshold):
        raise InputError("threshold: expected a number, got NaN; leave it out")


def _best_over_chunks(
    queries: FloatArray, corpus: FloatArray, size: int, top_k: int, score: Score
) -> tuple[IndexArray, FloatArray]:
    """Give the places and scores of the best rows of a corpus, (Q, K) each."""
    places: IndexArray = np.empty((len(queries), 0), dtype=np.intp)
    scores: FloatArray = np.empty((len(queries), 0), dtype=np.float32)
    for first, chunk in _chunks(corpus, size):
        found, best = _best(score(queries, chunk), top_k)
        places, scores = np.hstack([places, found + first]), np.hstack([scores, best])
        kept, scores = _best(scores, top_k)
        places = np.take_along_axis(places, kept, axis=1)
    return places, scores


def _chunks(rows: FloatArray, size: int) -> Iterator[tuple[int, FloatArray]]:
    for first in range(0, len(rows), size):
        yield first, rows[first : first + size]


def _best(scores: FloatArray, count: int) -> tuple[IndexArray, FloatArray]:
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
