"""Texts that the model does not read whole, or not at all: what is read, and what is said."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minilm_onnx import (
    InputError,
    SentenceEncoder,
)
from tests.conftest import FakeSession

LONG = " ".join(f"the {word} river number {i}" for i in range(40) for word in ("red", "old"))


def test_max_seq_length_can_be_set() -> None:
    encoder = SentenceEncoder(threads=1)
    whole = encoder.encode(LONG)
    encoder.max_seq_length = 16
    assert [len(ids) for ids in encoder.tokenize_texts([LONG]).ids] == [16]
    assert not np.array_equal(encoder.encode(LONG), whole)
    encoder.max_seq_length = 512
    assert encoder.encode(LONG).shape == (384,)
    for wrong in (2, 513, True, 7.5):
        with pytest.raises(InputError, match="max_seq_length: expected"):
            encoder.max_seq_length = wrong  # type: ignore[assignment]
    assert encoder.get_embedding_dimension() == encoder.get_sentence_embedding_dimension() == 384


def test_overflow_head_tail_reads_both_ends(encoder: SentenceEncoder) -> None:
    (full,) = encoder.tokenize_texts([LONG * 3]).ids
    (ids,) = encoder.tokenize_texts([LONG * 3], overflow="head_tail").ids
    assert (len(ids), ids[0], ids[-1]) == (256, 101, 102)
    assert ids[:128].tolist() == full[:128].tolist()
    tail = encoder.tokenize_texts([LONG * 3], overflow="window").ids[-1]
    assert ids[-100:].tolist() == tail[-100:].tolist()


@given(words=st.integers(255, 1500))
def test_windows_read_every_token_and_overlap(encoder: SentenceEncoder, words: int) -> None:
    tokens = encoder.tokenize_texts(["river " * words, "a cat"], overflow="window")
    (first, second) = tokens.spans
    rows = tokens.ids[first]
    assert all(len(row) <= 256 and (row[0], row[-1]) == (101, 102) for row in rows)
    assert all(len(row) == 256 for row in rows[:-1])
    # Every window but the last moves on by three quarters.
    assert 191 * (len(rows) - 1) + len(rows[-1]) - 2 == words
    assert len(tokens.ids[second]) == 1
    assert tokens.cut == 0


def test_window_vectors_are_means_by_tokens(fake: tuple[SentenceEncoder, FakeSession]) -> None:
    encoder, _ = fake
    tokens = encoder.tokenize_texts([LONG * 2], overflow="window")
    assert len(tokens.ids) == 4
    means = [
        np.array([row.mean(), (len(row) - 1) / 2, len(row), 1.0]) * len(row) for row in tokens.ids
    ]
    mean = np.sum(means, axis=0)
    found = encoder.encode(["a cat", LONG * 2], overflow="window")
    np.testing.assert_allclose(found[1], mean / np.linalg.norm(mean), rtol=1e-5)
    assert np.array_equal(found[0], encoder.encode("a cat"))
    with pytest.raises(InputError, match="whose windows repeat tokens"):
        encoder.encode(LONG * 2, overflow="window", output_value="token_embeddings")


def test_overflow_is_said_or_refused(encoder: SentenceEncoder) -> None:
    with pytest.warns(UserWarning, match="1 of 2 texts are longer than 256 tokens"):
        warned = encoder.encode(["a cat", LONG * 2], overflow="warn")
    assert np.array_equal(warned, encoder.encode(["a cat", LONG * 2]))
    with pytest.raises(InputError, match=r"texts\[2\]: expected at most 256 tokens, got"):
        encoder.encode(["a cat", "a cat", LONG * 2], overflow="error")
    with pytest.raises(InputError, match=r"texts\[1\]: expected at most 256 tokens, got"):
        encoder.encode(["a", LONG * 2], overflow="error", output_value="token_embeddings")
    with pytest.warns(UserWarning, match="1 of 2 texts are longer"):
        encoder.encode(["a", LONG * 2], overflow="warn", output_value="token_embeddings")
    cached = SentenceEncoder(threads=1, cache_size=5)
    for _ in range(2):
        with pytest.warns(UserWarning, match="3 of 4 texts are longer"):
            cached.encode(["a", *[LONG * 2] * 3], overflow="warn")


def test_inspect_says_what_the_model_sees(encoder: SentenceEncoder) -> None:
    cat, long, chinese = encoder.inspect(
        ["a cat", "river " * 300, "\u732b\u5728\u6905\u5b50\u4e0a"]
    )
    assert (cat.tokens, cat.kept, cat.cut, cat.unknown) == (4, 4, False, 0.0)
    assert (long.tokens, long.kept, long.cut) == (302, 256, True)
    assert chinese.unknown > 0.5
    assert chinese.unreadable
    (windowed,) = encoder.inspect(["river " * 300], overflow="window")
    assert not windowed.cut


def test_texts_that_the_model_cannot_read_are_warned_of(encoder: SentenceEncoder) -> None:
    with pytest.warns(UserWarning, match="1 of 2 texts are mostly unknown") as caught:
        encoder.encode(["a cat", "\u732b\u5728\u6905\u5b50\u4e0a"])
    assert len(caught) == 1
    assert caught[0].filename == __file__
