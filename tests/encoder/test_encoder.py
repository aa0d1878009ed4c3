"""encode and its arguments, with vectors worked out by hand."""

import asyncio
import re
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minilm_onnx import (
    InputError,
    SentenceEncoder,
    quantize_embeddings,
    similarity_pairwise,
)
from minilm_onnx.vectors.quantization import Precision
from tests.conftest import WORDS, FakeSession, by_hand


def test_encode_pools_normalises_and_keeps_the_order(
    fake: tuple[SentenceEncoder, FakeSession],
) -> None:
    encoder, _ = fake
    ids = encoder.tokenize_texts(WORDS).ids
    np.testing.assert_allclose(
        encoder.encode(WORDS), [by_hand(row.tolist()) for row in ids], rtol=1e-6
    )


def test_encode_never_pads(fake: tuple[SentenceEncoder, FakeSession]) -> None:
    encoder, session = fake
    encoder.encode(["cat", "a dog", "rain"])
    assert sorted(session.shapes) == [(1, 4), (2, 3)]


def test_encode_obeys_batch_size(fake: tuple[SentenceEncoder, FakeSession]) -> None:
    encoder, session = fake
    encoder.encode(["cat", "dog", "rain", "door", "red"], batch_size=2)
    assert [shape[0] for shape in session.shapes] == [2, 2, 1]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(WORDS) | st.text(max_size=20), max_size=30), st.data())
def test_encode_of_a_permutation_is_the_permutation(
    fake: tuple[SentenceEncoder, FakeSession], texts: list[str], data: st.DataObject
) -> None:
    encoder, _ = fake
    texts = [text for text in texts if not any("\ud800" <= c <= "\udfff" for c in text)]
    order = data.draw(st.permutations(range(len(texts))))
    size = data.draw(st.none() | st.integers(1, 5))
    straight = encoder.encode(texts)
    shuffled = encoder.encode([texts[i] for i in order], batch_size=size)
    assert np.array_equal(shuffled, straight[list(order)])


def test_encode_shapes(encoder: SentenceEncoder) -> None:
    assert encoder.encode("a cat").shape == (384,)
    assert encoder.encode(["a cat"]).shape == (1, 384)
    assert encoder.encode([]).shape == (0, 384)
    assert encoder.encode([]).dtype == np.float32
    assert encoder.encode("").shape == (384,)


@pytest.mark.parametrize("size", [0, -1, 1.5, "8", True])
def test_encode_refuses_a_batch_size_that_is_not_positive(
    encoder: SentenceEncoder, size: int
) -> None:
    with pytest.raises(InputError, match="batch_size: expected a positive int"):
        encoder.encode(["a"], batch_size=size)


@pytest.mark.parametrize("threads", [0, -2, "two", True])
def test_encoder_refuses_threads_that_are_not_positive(threads: int) -> None:
    with pytest.raises(InputError, match="threads: expected a positive int"):
        SentenceEncoder(threads=threads)


def test_encoder_refuses_more_threads_than_any_machine_has() -> None:
    with pytest.raises(InputError, match="threads: expected at most 4096, got 99999999999"):
        SentenceEncoder(threads=99999999999)


def test_encoder_refuses_a_model_that_is_no_path() -> None:
    with pytest.raises(InputError, match="model: expected a folder's path or None, got int 3"):
        SentenceEncoder(3)  # type: ignore[arg-type]  # the point of the test


def test_encoder_knows_its_model(encoder: SentenceEncoder) -> None:
    assert encoder.manifest is not None
    assert encoder.manifest.model_id == "sentence-transformers/all-MiniLM-L6-v2"
    assert encoder.manifest.precision == "int8"
    assert (encoder.dimension, encoder.max_seq_length) == (384, 256)


def test_the_token_budget_bounds_a_run(fake: tuple[SentenceEncoder, FakeSession]) -> None:
    encoder, session = fake
    encoder._embedder.policy = replace(encoder.policy, token_budget=10)
    encoder.encode([f"a {word}" for word in ["cat", "dog", "rain", "door", "red", "one", "two"]])
    assert [texts * tokens for texts, tokens in session.shapes] == [8, 8, 8, 4]


def test_the_older_name_of_the_argument_works(encoder: SentenceEncoder) -> None:
    assert np.array_equal(encoder.encode(sentences=WORDS), encoder.encode(WORDS))
    with pytest.raises(InputError, match="texts: expected a sequence of str, got None"):
        encoder.encode()
    with pytest.raises(InputError, match="inputs: expected texts"):
        encoder.encode("a", sentences="b")


@pytest.mark.parametrize(
    ("options", "advice"),
    [
        ({"convert_to_tensor": True}, r"use torch\.from_numpy"),
        ({"convert_to_numpy": False}, r"use list\(encoder\.encode"),
        ({"device": "cuda"}, "this runs on CPUs"),
        ({"pool": object()}, "see threads"),
        ({"chunk_size": 5}, "see threads"),
        ({"output_value": None}, "call encode for each of the two"),
        ({"precision": "int4"}, "precision: expected float32, int8"),
        ({"overflow": "wrap"}, "overflow: expected truncate, warn"),
        ({"prompt_name": "passage"}, "add it to encoder.prompts"),
        ({"prompt": 3}, "prompt: expected a str"),
        ({"truncate_dim": 400}, "truncate_dim: expected at most 384"),
        ({"output_value": "token_embeddings", "precision": "int8"}, "quantise the token vectors"),
        ({"output_value": "token_embeddings", "truncate_dim": 8}, "quantise the token vectors"),
    ],
)
def test_what_cannot_be_honoured_is_refused_with_advice(
    encoder: SentenceEncoder, options: dict[str, Any], advice: str
) -> None:
    with pytest.raises(InputError, match=advice):
        encoder.encode(["a cat"], **options)


def test_unknown_arguments_are_refused(encoder: SentenceEncoder) -> None:
    with pytest.raises(TypeError, match="truncate_dims"):
        encoder.encode("a", truncate_dims=3)  # type: ignore[call-overload]


def test_token_embeddings_average_to_the_vector(encoder: SentenceEncoder) -> None:
    tokens = encoder.encode(WORDS, output_value="token_embeddings")
    assert [len(rows) for rows in tokens] == [len(ids) for ids in encoder.tokenize_texts(WORDS).ids]
    means = np.stack([rows.mean(axis=0) for rows in tokens])
    unit = means / np.linalg.norm(means, axis=1, keepdims=True)
    np.testing.assert_allclose(unit, encoder.encode(WORDS), atol=1e-6)
    one = encoder.encode(WORDS[0], output_value="token_embeddings")
    assert np.array_equal(one, tokens[0])


@pytest.mark.filterwarnings("ignore:ranges of")
def test_precision_and_truncation_are_those_of_the_helpers(encoder: SentenceEncoder) -> None:
    vectors = encoder.encode(WORDS)
    every: list[Precision] = ["int8", "uint8", "binary", "ubinary"]
    for precision in every:
        found = encoder.encode(WORDS, precision=precision)
        assert np.array_equal(found, quantize_embeddings(vectors, precision))
    assert encoder.encode("a cat", precision="ubinary").shape == (48,)
    cut = encoder.encode(WORDS, truncate_dim=64)
    assert np.array_equal(cut, vectors[:, :64])
    unit = encoder.encode(WORDS, truncate_dim=64, normalize_embeddings=True)
    np.testing.assert_allclose(np.linalg.norm(unit, axis=1), 1, rtol=1e-6)


def test_int8_of_one_text_or_of_equal_ones_is_refused(encoder: SentenceEncoder) -> None:
    """Its codes would be the lowest everywhere, since each range is that of the text itself."""
    both: list[Precision] = ["int8", "uint8"]
    for precision in both:
        for texts in ("a cat", ["a cat"], ["a cat", "a cat"], ["a cat", " A  CAT "]):
            with pytest.raises(InputError, match=r"vectors that differ, .* give quantize_embed"):
                encoder.encode(texts, precision=precision)
        assert encoder.encode([], precision=precision).shape == (0, 384)


def test_prompts_are_put_before_texts() -> None:
    encoder = SentenceEncoder(threads=1)
    plain = encoder.encode("query: a cat")
    assert np.array_equal(encoder.encode("a cat", prompt="query: "), plain)
    assert np.array_equal(encoder.encode_query("a cat"), encoder.encode("a cat"))
    encoder.prompts = {"query": "query: ", "passage": "passage: "}
    assert np.array_equal(encoder.encode("a cat", prompt_name="query"), plain)
    assert np.array_equal(encoder.encode_query("a cat"), plain)
    assert np.array_equal(encoder.encode_query("a cat", prompt=""), encoder.encode("a cat"))
    passage = encoder.encode("passage: a cat")
    assert np.array_equal(encoder.encode_document("a cat"), passage)
    assert np.array_equal(asyncio.run(encoder.aencode_query("a cat")), plain)
    assert np.array_equal(asyncio.run(encoder.aencode_document("a cat")), passage)
    assert np.array_equal(asyncio.run(encoder.aencode_document("a cat", prompt="query: ")), plain)
    encoder.default_prompt_name = "query"
    assert np.array_equal(encoder.encode("a cat"), plain)


def test_similarity_follows_the_encoders_measure() -> None:
    encoder = SentenceEncoder(threads=1)
    a, b = encoder.encode(WORDS[:3]), encoder.encode(WORDS[1:4])
    encoder.similarity_fn_name = "euclidean"
    assert np.array_equal(encoder.similarity_pairwise(a, b), similarity_pairwise(a, b, "euclidean"))
    np.testing.assert_allclose(encoder.similarity(a, a).diagonal(), 0, atol=1e-3)
    with pytest.raises(InputError, match="similarity_fn_name: expected cosine, dot"):
        encoder.similarity_fn_name = "angular"  # type: ignore[assignment]


def test_tokenize_pads_as_sentence_transformers_does(encoder: SentenceEncoder) -> None:
    found = encoder.tokenize(["a cat", "the red door"])
    assert found["input_ids"].tolist() == [[101, 1037, 4937, 102, 0], [101, 1996, 2417, 2341, 102]]
    assert found["attention_mask"].tolist() == [[1, 1, 1, 1, 0], [1] * 5]
    assert found["token_type_ids"].tolist() == [[0] * 5] * 2


def test_a_bar_is_shown_where_somebody_sees_it(
    encoder: SentenceEncoder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("tqdm", reason="tqdm is not installed")
    encoder.encode(WORDS, show_progress_bar=True)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    encoder.encode(WORDS, show_progress_bar=True)
    assert "6/6" in capsys.readouterr().err
    encoder.encode([*WORDS[:5], "word " * 700], show_progress_bar=True, overflow="window")
    shown = re.findall(r"(\d+)/6", capsys.readouterr().err)
    assert max(map(int, shown)) == 6  # texts, not windows
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    with pytest.raises(InputError, match=r"pip install '\.\[progress\]'"):
        encoder.encode(WORDS, show_progress_bar=True)


def test_texts_are_counted_in_proportion_to_what_was_read() -> None:
    """Long ones come first: a count of texts would begin slowly, and look too slow."""
    encoder = SentenceEncoder(threads=1)
    texts = ["word " * 100, "a", "b", "a"]
    counts: list[int] = []
    encoder.embed_texts(texts, done=counts.append)
    assert sum(counts) == len(texts)
    assert counts[0] == 3
    again: list[int] = []
    cached = SentenceEncoder(threads=1, cache_size=10)
    for counted in (again, counts):
        counted.clear()
        cached.embed_texts(texts, done=counted.append)
        assert sum(counted) == len(texts)
