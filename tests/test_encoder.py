from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minilm_onnx import InputError, SentenceEncoder
from tests.conftest import FakeSession, by_hand

WORDS = ["cat", "a dog", "the red door", "rain", "one two three four five", ""]


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
    encoder.encode(["cat"] * 5, batch_size=2)
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


def test_encode_from_many_threads_gives_each_its_own_answer(encoder: SentenceEncoder) -> None:
    texts = [f"{word} number {i}" for i, word in enumerate(WORDS * 20)]
    expected = encoder.encode(texts)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(encoder.encode, texts))
    assert np.array_equal(np.stack(found), expected)


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
    encoder.policy = replace(encoder.policy, token_budget=10)
    encoder.encode(["a cat"] * 7)
    assert [texts * tokens for texts, tokens in session.shapes] == [8, 8, 8, 4]
