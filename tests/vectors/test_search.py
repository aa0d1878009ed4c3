"""Search and mining, against brute force and an installed sentence-transformers."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minilm_onnx import (
    InputError,
    SentenceEncoder,
    community_detection,
    paraphrase_mining,
    paraphrase_mining_embeddings,
    quantize_embeddings,
    semantic_search,
    semantic_search_quantized,
    similarity,
)
from minilm_onnx.arrays import FloatArray
from minilm_onnx.vectors.quantization import Precision, ranges_of
from minilm_onnx.vectors.similarity import Measure


def draw(rows: int, seed: int = 0, width: int = 384) -> FloatArray:
    vectors = np.random.default_rng(seed).standard_normal((rows, width)).astype(np.float32)
    unit: FloatArray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit


@given(
    st.integers(1, 6),
    st.integers(1, 40),
    st.integers(1, 12),
    st.integers(1, 5),
    st.integers(1, 9),
)
def test_search_finds_what_brute_force_finds(
    queries: int, rows: int, top_k: int, query_chunk: int, corpus_chunk: int
) -> None:
    a, b = draw(queries, 1, 4), np.round(draw(rows, 2, 4), 1)  # rounded: some scores are equal
    found = semantic_search(a, b, query_chunk, corpus_chunk, top_k)
    scores = similarity(a, b)
    for hits, row in zip(found, scores, strict=True):
        places = [hit["corpus_id"] for hit in hits]
        assert len(set(places)) == min(top_k, rows)
        np.testing.assert_allclose([hit["score"] for hit in hits], row[places], atol=1e-6)
        np.testing.assert_allclose(row[places], np.sort(row)[::-1][:top_k], atol=1e-6)


def test_of_equal_scores_the_earlier_row_comes_first() -> None:
    corpus = np.array([[0, 1], [1, 0], [1, 0], [1, 0]], dtype=np.float32)
    hits = semantic_search(corpus[1], corpus, corpus_chunk_size=3, top_k=2)[0]
    assert [hit["corpus_id"] for hit in hits] == [1, 2]


def test_an_empty_corpus_has_no_hits() -> None:
    assert semantic_search(draw(2), np.empty((0, 384), dtype=np.float32)) == [[], []]


def test_search_matches_sentence_transformers() -> None:
    util = pytest.importorskip("sentence_transformers.util", reason="it is not installed")
    a, b = draw(7, 3), draw(900, 4)
    ours = semantic_search(a, b, corpus_chunk_size=250, top_k=12)
    theirs = util.semantic_search(a, b, top_k=12)
    for mine, other in zip(ours, theirs, strict=True):
        assert [hit["corpus_id"] for hit in mine] == [hit["corpus_id"] for hit in other]
        np.testing.assert_allclose(
            [hit["score"] for hit in mine], [hit["score"] for hit in other], atol=1e-6
        )


def clustered() -> FloatArray:
    centres = draw(8, 5)
    noise = np.random.default_rng(6).standard_normal((200, 384)).astype(np.float32) * 0.02
    return np.repeat(centres, 25, axis=0) + noise


def test_mining_and_communities_match_sentence_transformers() -> None:
    util = pytest.importorskip("sentence_transformers.util", reason="it is not installed")
    torch = pytest.importorskip("torch", reason="torch is not installed")
    rows = clustered()
    ours = paraphrase_mining_embeddings(rows, 64, 90, max_pairs=300, top_k=5)
    theirs = util.paraphrase_mining_embeddings(torch.from_numpy(rows), top_k=5)[:300]
    assert len(ours) == 300
    assert [pair[1:] for pair in ours] == [pair[1:] for pair in theirs]
    np.testing.assert_allclose([p[0] for p in ours], [p[0] for p in theirs], atol=1e-6)
    for threshold, least in ((0.75, 10), (0.9, 3), (0.99, 2), (0.1, 500)):
        found = community_detection(rows, threshold, least, batch_size=64)
        expected = util.community_detection(rows, threshold, least)
        assert [sorted(group) for group in found] == [sorted(group) for group in expected]
        assert [group[0] for group in found] == [group[0] for group in expected]


def test_communities_are_apart_and_start_with_their_centre() -> None:
    groups = community_detection(clustered(), 0.75, 5)
    assert sorted(place for group in groups for place in group) == list(range(200))
    assert {len(group) for group in groups} == {25}


@pytest.mark.parametrize("precision", ["int8", "uint8", "binary", "ubinary"])
def test_a_stored_corpus_finds_nearly_what_floats_find(precision: Precision) -> None:
    corpus = np.vstack([clustered(), draw(2000, 7)])
    queries = corpus[:200:10] + draw(20, 8) * 0.3
    ranges = ranges_of(corpus)
    codes: Any = quantize_embeddings(corpus, precision, ranges=ranges)
    exact = semantic_search(queries, corpus, top_k=5)
    found = semantic_search_quantized(queries, codes, precision, ranges, top_k=5)
    recall = np.mean(
        [
            len({hit["corpus_id"] for hit in mine} & {hit["corpus_id"] for hit in true}) / 5
            for mine, true in zip(found, exact, strict=True)
        ]
    )
    assert recall > (0.95 if "int8" in precision else 0.3)
    assert all(1.01 > a["score"] >= b["score"] for hits in found for a, b in pairwise(hits))
    # What shares no cluster with the query is never among the hits.
    assert all(
        hit["corpus_id"] // 25 == i * 10 // 25 for i, hits in enumerate(found) for hit in hits
    )


def test_wrong_shapes_and_numbers_are_refused() -> None:
    with pytest.raises(InputError, match="semantic_search: expected"):
        semantic_search(draw(2), draw(2, width=5))
    with pytest.raises(InputError, match="top_k: expected a positive int"):
        semantic_search(draw(2), draw(2), top_k=0)
    codes: Any = quantize_embeddings(draw(120), "int8")
    with pytest.raises(InputError, match="ranges: expected"):
        semantic_search_quantized(draw(1), codes, "int8")
    with pytest.raises(InputError, match="corpus_embeddings: expected"):
        semantic_search_quantized(draw(1), codes, "binary")
    with pytest.raises(InputError, match=r"codes: expected \(N, H\) uint8 for ubinary, got int8"):
        semantic_search_quantized(draw(1), codes, "ubinary")
    with pytest.raises(InputError, match="top_k: expected a positive int"):
        paraphrase_mining_embeddings(draw(3), top_k=0)
    with pytest.raises(InputError, match="embeddings: expected"):
        community_detection(draw(1)[0])


@pytest.mark.parametrize("measure", ["dot", "euclidean", "manhattan"])
def test_search_by_another_measure(measure: Measure) -> None:
    a, b = draw(3, 9), draw(50, 10) * 2

    def score(x: FloatArray, y: FloatArray) -> FloatArray:
        return similarity(x, y, measure)

    found = semantic_search(a, b, top_k=1, score_function=score)
    assert [hits[0]["corpus_id"] for hits in found] == score(a, b).argmax(axis=1).tolist()


@pytest.mark.parametrize("width", [384, 13])
def test_bits_stand_for_their_signs_whatever_their_type(width: int) -> None:
    queries, corpus = draw(3, 11, width), draw(40, 12, width)
    expected = semantic_search(queries, np.where(corpus > 0, 1, -1), top_k=40)
    kinds: tuple[Precision, ...] = ("binary", "ubinary")
    for precision in kinds:
        codes: Any = quantize_embeddings(corpus, precision)
        found = semantic_search_quantized(queries, codes, precision, top_k=40)
        for mine, true in zip(found, expected, strict=True):
            assert [hit["corpus_id"] for hit in mine] == [hit["corpus_id"] for hit in true]
            np.testing.assert_allclose(
                [hit["score"] for hit in mine], [hit["score"] for hit in true], atol=1e-6
            )


def test_mining_texts_embeds_them_and_finds_the_nearest_pair(encoder: SentenceEncoder) -> None:
    texts = ["how do I reset my password", "the soup is salty", "I want to reset my password"]
    pairs = paraphrase_mining(encoder, texts)
    assert pairs[0][1:] == [0, 2]
    assert len(pairs) == 3


def test_equal_vectors_are_pairs_too() -> None:
    rows = np.repeat(draw(1, 13), 6, axis=0)
    pairs = paraphrase_mining_embeddings(rows, top_k=2)
    assert [pair[1:] for pair in pairs[:3]] == [[0, 1], [0, 2], [0, 3]]
    assert all(i < j for _, i, j in pairs)
