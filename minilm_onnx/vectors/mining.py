"""Which pairs of a collection are most alike."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from minilm_onnx.arrays import FloatArray, IndexArray
from minilm_onnx.checks import check_positive
from minilm_onnx.errors import InputError
from minilm_onnx.vectors.distinct import Distinct, distinct
from minilm_onnx.vectors.inputs import Vectors, as_numbers
from minilm_onnx.vectors.nearest import Score, highest_over_chunks, in_chunks
from minilm_onnx.vectors.similarity import similarity


class Encoder(Protocol):
    """What has an `encode`: a SentenceEncoder, or one's own."""

    def encode(
        self, sentences: Sequence[str], /, *, batch_size: int | None, show_progress_bar: bool
    ) -> FloatArray:
        """Embed texts, (N, H) float32."""


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
    """Embed texts and find the most similar pairs; see `paraphrase_mining_embeddings`.

    Warns:
        UserWarning: a SentenceEncoder truncated some texts, which may differ in the rest.
    """
    # Of encoders, only this package's have `unread` and can warn.
    more: dict[str, Any] = {"overflow": "warn"} if hasattr(model, "unread") else {}
    embeddings = model.encode(
        sentences, batch_size=batch_size, show_progress_bar=show_progress_bar, **more
    )
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
    """Find the most similar pairs of vectors, among the `top_k` nearest of each.

    It works like the function of this name in sentence-transformers, with two differences:
    `max_pairs` counts distinct pairs, and `top_k` counts neighbours in the whole collection. With
    equal scores, the earlier pair comes first.

    Args:
        embeddings: (N, H) float.
        query_chunk_size: how many rows to compare at a time.
        corpus_chunk_size: how many rows to compare them with at a time.
        max_pairs: maximum number of pairs.
        top_k: how many neighbours to consider for each vector.
        score_function: see `semantic_search`.

    Returns:
        A list of [score, i, j] with i < j, best first.

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
    different = distinct(rows)
    scores: FloatArray = np.empty(0, dtype=np.float32)
    pairs: IndexArray = np.empty((0, 2), dtype=np.intp)
    for first, chunk in in_chunks(different.rows, query_chunk_size):
        # One more than wanted, since nearly everyone's nearest is itself.
        found = highest_over_chunks(chunk, different, corpus_chunk_size, top_k + 1, score_function)
        new_scores, new_pairs = [scores], [pairs]
        for number, (places, best) in enumerate(found, first):
            own = different.places(number)
            kept = places != own[:, None]
            kept &= np.cumsum(kept, axis=1) <= top_k
            members, others = np.nonzero(kept)
            new_scores.append(best[others])
            new_pairs.append(np.stack([own[members], places[others]], axis=1))
        scores, pairs = _best_pairs(
            np.concatenate(new_scores), np.concatenate(new_pairs), different, max_pairs
        )
    return [[score, i, j] for score, (i, j) in zip(scores.tolist(), pairs.tolist(), strict=True)]


def _best_pairs(
    scores: FloatArray, pairs: IndexArray, different: Distinct, max_pairs: int
) -> tuple[FloatArray, IndexArray]:
    """Give each pair once, the best first; of equal scores the earlier pair."""
    pairs = np.sort(pairs, axis=1)
    # Two rows may be compared in either order, which may differ in the last bit: pairs of the same
    # two vectors all have the score that is found first.
    vectors = np.sort(different.which[pairs], axis=1)
    _, firsts, which = np.unique(
        vectors @ [len(different.which), 1], return_index=True, return_inverse=True
    )
    scores = scores[firsts[which]]
    _, firsts = np.unique(pairs @ [len(different.which), 1], return_index=True)
    scores, pairs = scores[firsts], pairs[firsts]
    order = np.argsort(-scores, kind="stable")[:max_pairs]
    return scores[order], pairs[order]
