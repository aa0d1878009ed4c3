"""Equal rows: they have equal scores, and the first comes first, wherever they stand."""

from typing import Any

import numpy as np
import pytest

from minilm_onnx import (
    community_detection,
    near_duplicates,
    paraphrase_mining_embeddings,
    quantize_embeddings,
    semantic_search,
    semantic_search_quantized,
    similarity,
)
from minilm_onnx.arrays import FloatArray
from minilm_onnx.vectors.distinct import distinct
from minilm_onnx.vectors.quantization import Precision, ranges_of
from tests.vectors.test_search import draw

# Rows of three kinds in turn, of odd number: a matrix product treats its last rows otherwise.
COPIES = 13


def copies(seed: int) -> FloatArray:
    return np.tile(draw(3, seed), (COPIES, 1))


@pytest.mark.parametrize("corpus_chunk", [4, 5, 50_000])
@pytest.mark.parametrize("queries", [1, 3, 6])
def test_the_first_hits_are_the_first_of_more_hits(queries: int, corpus_chunk: int) -> None:
    for seed in range(20):
        corpus = copies(seed)
        all_hits = semantic_search(
            draw(queries, seed + 100), corpus, corpus_chunk_size=corpus_chunk, top_k=len(corpus)
        )
        for hits in all_hits:
            kinds = [hit["corpus_id"] % 3 for hit in hits]
            best, middle, worst = kinds[0], kinds[COPIES], kinds[-1]
            expected = [kind + 3 * copy for kind in (best, middle, worst) for copy in range(COPIES)]
            assert [hit["corpus_id"] for hit in hits] == expected
            assert len({hit["score"] for hit in hits}) == 3
        for top_k in (1, 2, COPIES - 1, COPIES, COPIES + 1):
            fewer = semantic_search(
                draw(queries, seed + 100), corpus, corpus_chunk_size=corpus_chunk, top_k=top_k
            )
            assert fewer == [hits[:top_k] for hits in all_hits]


def test_rows_that_score_alike_without_being_equal_stand_in_their_order() -> None:
    # By their first component alone 0 to 4 are alike, of which 1 and 3 are equal.
    corpus = np.array([[1, 0], [1, 1], [1, 2], [1, 1], [1, 3], [2, 0]], dtype=np.float32)

    def score(a: FloatArray, b: FloatArray) -> FloatArray:
        return a[:, :1] @ b[:, :1].T

    for top_k in range(1, 7):
        (hits,) = semantic_search(corpus[0], corpus, top_k=top_k, score_function=score)
        assert [hit["corpus_id"] for hit in hits] == [5, 0, 1, 2, 3, 4][:top_k]


@pytest.mark.parametrize("precision", ["int8", "uint8", "binary", "ubinary"])
def test_the_first_hits_among_codes_are_the_first_of_more_hits(precision: Precision) -> None:
    corpus = np.vstack([copies(1), draw(200, 2), copies(1)])
    ranges = ranges_of(corpus)
    codes: Any = quantize_embeddings(corpus, precision, ranges)
    queries = draw(4, 3)
    all_hits = semantic_search_quantized(queries, codes, precision, ranges, top_k=len(corpus))
    for top_k in range(1, len(corpus), 7):
        fewer = semantic_search_quantized(queries, codes, precision, ranges, top_k=top_k)
        assert fewer == [hits[:top_k] for hits in all_hits]
    for hits in all_hits:
        order = [(-hit["score"], hit["corpus_id"]) for hit in hits]
        assert order == sorted(order)
        assert len({hit["score"] for hit in hits if hit["corpus_id"] % 239 < 39}) == 3


def test_pairs_of_equal_rows_stand_in_their_order() -> None:
    for seed in range(20):
        rows = copies(seed)
        found = paraphrase_mining_embeddings(rows, 5, 7, top_k=len(rows))
        assert (
            len({score for score, _, _ in found}) <= 6
        )  # three kinds among and between themselves
        kinds = [tuple(sorted((i % 3, j % 3))) for _, i, j in found]
        for kind in set(kinds):
            same = [pair[1:] for pair, other in zip(found, kinds, strict=True) if other == kind]
            assert same == sorted(same)
        for max_pairs in (1, 50, 100, 400):
            assert (
                paraphrase_mining_embeddings(rows, 5, 7, max_pairs, top_k=len(rows))
                == found[:max_pairs]
            )


def test_equal_rows_are_duplicates_at_a_threshold_of_one() -> None:
    rows = np.vstack([draw(50, 21), draw(50, 21), np.zeros((2, 384), dtype=np.float32)])
    assert near_duplicates(rows, 1.0) == [(row + 50, row, 1.0) for row in range(50)]
    groups = community_detection(rows, 1.0, 2, batch_size=7)
    assert groups == [[row, row + 50] for row in range(50)]


@pytest.mark.parametrize("batch_size", [3, 1024])
def test_equal_rows_have_the_same_original(batch_size: int) -> None:
    for seed in range(30):
        base, noise = draw(2, seed)
        other = base + np.float32(0.3) * noise
        rows = np.vstack([base, *[other] * COPIES])
        cosine = similarity(base, other)[0, 0]
        above = float(cosine) + 1e-12  # no float32, in which cosines are compared
        for threshold in (np.nextafter(cosine, 0), cosine, above, np.nextafter(cosine, 2)):
            found = near_duplicates(rows, float(threshold), batch_size)
            assert len({original for row, original, _ in found if row > 1}) == 1


@pytest.mark.parametrize("batch_size", [3, 1024])
def test_a_group_has_all_of_equal_rows_or_none(batch_size: int) -> None:
    for seed in range(30):
        rows = copies(seed)
        threshold = float(similarity(rows[0], rows[1])[0, 0])
        for group in community_detection(rows, threshold, 2, batch_size):
            assert len(group) % COPIES == 0


def test_distinct_rows_are_found_where_their_beginnings_are_equal() -> None:
    rows = np.zeros((6, 5), dtype=np.float32)
    rows[[1, 4], 4] = 1
    rows[3, 3] = 1
    found = distinct(rows)
    assert found.firsts.tolist() == [0, 1, 3]
    assert found.which.tolist() == [0, 1, 0, 2, 1, 0]
    assert [found.places(number).tolist() for number in range(3)] == [[0, 2, 5], [1, 4], [3]]


@pytest.mark.parametrize("shape", [(0, 5), (3, 0), (4, 1)])
def test_distinct_takes_rows_of_any_size(shape: tuple[int, int]) -> None:
    assert len(distinct(np.zeros(shape, dtype=np.float32)).rows) == min(1, shape[0])
