from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minilm_onnx import InputError, SentenceEncoder
from minilm_onnx.text import pieces
from minilm_onnx.text.tokens import UNKNOWN, TokenizedTexts, tokenize_in_turns
from tests.conftest import Golden

CLS, SEP = 101, 102


def test_ids_are_exactly_those_of_sentence_transformers(
    encoder: SentenceEncoder, golden: Golden
) -> None:
    assert len(golden.texts) >= 300
    found = [ids.tolist() for ids in encoder.tokenize_texts(golden.texts).ids]
    assert found == golden.ids


def test_ids_ignore_the_limit_of_128_in_the_checkpoint_file(encoder: SentenceEncoder) -> None:
    (ids,) = encoder.tokenize_texts(["river " * 200]).ids
    assert len(ids) == 202


@pytest.mark.parametrize(("words", "kept"), [(253, 255), (254, 256), (255, 256), (400, 256)])
def test_ids_are_cut_at_256_with_the_closing_token_kept(
    encoder: SentenceEncoder, words: int, kept: int
) -> None:
    tokens = encoder.tokenize_texts(["river " * words])
    (ids,) = tokens.ids
    assert len(ids) == kept
    assert (ids[0], ids[-1]) == (CLS, SEP)
    assert tokens.lengths == [words + 2]
    assert tokens.cut == (words + 2 > 256)


@given(text=st.text())
def test_ids_of_any_unicode_are_framed_and_within_the_limit(
    encoder: SentenceEncoder, text: str
) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        return
    (ids,) = encoder.tokenize_texts([text]).ids
    assert (ids[0], ids[-1]) == (CLS, SEP)
    assert 2 <= len(ids) <= 256


@pytest.mark.parametrize(
    ("texts", "named"),
    [
        (["a", None], r"texts\[1\]: expected a str, got None"),
        ([1], r"texts\[0\]: expected a str, got int 1"),
        ([True], r"texts\[0\]: expected a str, got bool True"),
        (["a", "b", 2.5], r"texts\[2\]: expected a str, got float 2.5"),
        ([b"bytes"], r"texts\[0\]: expected a str, got bytes"),
        ([["nested"]], r"texts\[0\]: expected a str, got list"),
        (["é\ud800"], r"texts\[0\]: .* lone surrogate U\+D800 at character 1"),
        (None, "expected a sequence of str, got None"),
        (7, "expected a sequence of str, got int 7"),
        (b"bytes", "expected a sequence of str, got bytes"),
        ({"a": 1}, "expected a sequence of str, got dict"),
        (frozenset("a"), "expected a sequence of str, got frozenset"),
        (bytearray(b"a"), "expected a sequence of str, got bytearray"),
        (np.array("a"), "expected a sequence of str, got ndarray"),
        (np.array([1.5]), r"texts\[0\]: expected a str, got float 1.5"),
        (str, "expected a sequence of str, got type"),
        (iter(["a"]), "expected a sequence of str, got list_iterator"),
    ],
)
def test_wrong_texts_are_refused_and_named(
    encoder: SentenceEncoder, texts: Any, named: str
) -> None:
    with pytest.raises(InputError, match=named):
        encoder.encode(texts)


def test_a_lone_surrogate_in_a_single_text_is_refused(encoder: SentenceEncoder) -> None:
    with pytest.raises(InputError, match=r"U\+DC80 at character 2"):
        encoder.encode("ab\udc80")


def test_any_sequence_of_str_is_taken(encoder: SentenceEncoder) -> None:
    texts: Sequence[str] = ("a cat", "a dog")
    assert encoder.encode(texts).shape == (2, 384)
    from_pandas: Any = np.array(texts)
    assert np.array_equal(encoder.encode(from_pandas), encoder.encode(texts))


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("short", ""),
        ("cat " * 254, ""),
        ("cat " * 254 + "dog", "dog"),
        ("cat " * 300, " cat" * 46 + " "),
        ("\N{CAT} " * 253 + "unaffable", "ffable"),
        ("  cat\u00a0" * 255 + "é", "  cat\u00a0é"),
        ("x" * 40_000 + " cat" * 254, " cat"),
        (" " * 40_000 + "cat " * 255, "cat"),
        (" " * (2**14 - 4 * 253 - 12) + "cat " * 253 + "understanding dog", " dog"),
    ],
)
def test_what_is_not_read_of_a_text_is_all_behind_its_last_token(
    encoder: SentenceEncoder, text: str, rest: str
) -> None:
    found = encoder.unread([text])[0]
    assert found.strip() == rest.strip()
    assert text.endswith(found)


def in_turns(
    encoder: SentenceEncoder, texts: list[str], first: int = 0
) -> Iterator[TokenizedTexts]:
    return tokenize_in_turns(encoder.tokenizer, texts, encoder.max_seq_length, UNKNOWN, first)


@given(
    texts=st.lists(st.text(st.sampled_from("ab é猫\u0301,\n<[MASK]>"), max_size=300), max_size=4),
    piece=st.integers(1, 40),
)
def test_reading_in_turns_gives_what_reading_at_once_does(
    encoder: SentenceEncoder, texts: list[str], piece: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        at_once = encoder.tokenize_texts(texts)  # too short to be cut
        patch.setattr(pieces, "PIECE", piece)
        patch.setattr(pieces, "SLICE", 3)
        turns = list(in_turns(encoder, texts))
        in_pieces = encoder.tokenize_texts(texts)
    for found in (turns, [in_pieces]):
        rows = [row.tolist() for one in found for row in one.ids]
        assert rows == [row.tolist() for row in at_once.ids]
        assert [report for one in found for report in one.reports] == at_once.reports


def test_a_long_text_is_read_in_many_short_turns(encoder: SentenceEncoder) -> None:
    for text in ("word, " * 100_000, "猫" * 500_000):
        turns = list(in_turns(encoder, [text]))
        assert len(turns) >= 4
        (report,) = [report for turn in turns for report in turn.reports]
        assert (report.tokens, report.kept) == (len(text) + 2 - 4 * text.count(","), 256)


def test_a_text_that_cannot_be_read_in_short_turns_is_refused(encoder: SentenceEncoder) -> None:
    with pytest.raises(InputError, match=r"texts\[8\]: expected at most 1048576 characters"):
        next(in_turns(encoder, ["a", "b" * 1_100_000], first=7))
