"""From texts to token ids."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from minilm_onnx.arrays import IdArray
from minilm_onnx.errors import ArtifactError, InputError, describe
from minilm_onnx.folder.files import MOST_TOKENIZER, check_file
from minilm_onnx.text.overflow import Overflow, check_overflow, shorten
from minilm_onnx.text.pieces import whole_ids
from minilm_onnx.text.reports import TextReport, refuse_long

UNKNOWN = "[UNK]"


@dataclass(frozen=True)
class TokenizedTexts:
    """What the model will read of some texts.

    Attributes:
        ids: token ids to run, special tokens included, each (T,) int64; one row a text, but for
            long texts that are read in windows.
        windows: rows of `ids` that each text takes.
        reports: what the model sees of each text.
    """

    ids: list[IdArray]
    windows: list[int]
    reports: list[TextReport]

    @property
    def lengths(self) -> list[int]:
        """Tokens of each text before it was cut, special tokens included."""
        return [report.tokens for report in self.reports]

    @property
    def cut(self) -> int:
        """Number of texts that are longer than what the model reads of them."""
        return sum(report.cut for report in self.reports)

    @property
    def spans(self) -> list[slice]:
        """Rows of `ids` of each text."""
        edges = accumulate(self.windows, initial=0)
        return [slice(first, last) for first, last in pairwise(edges)]


def load_tokenizer(path: Path) -> Tokenizer:
    """Make the tokenizer of a tokenizer.json, without the truncation and padding it may carry.

    The checkpoint's file cuts and pads at 128 tokens; sentence-transformers ignores both,
    and so does this. After this call nobody changes the tokenizer, which makes it safe to
    share between threads.

    Raises:
        ArtifactError: the file is not a tokenizer.
    """
    check_file(path, MOST_TOKENIZER)
    try:
        tokenizer = Tokenizer.from_file(str(path))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        # Some that cannot read are found when they first read; and what is empty or not in the
        # vocabulary is read by the rules for it.
        empty, _ = tokenizer.encode_batch_fast(["", "a \u732b"])
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # tokenizers raises bare Exception, and panics beside it
        raise ArtifactError(
            f"{path}: expected a tokenizer.json of the tokenizers library, got {error}; "
            "export the model folder again"
        ) from error
    if len(empty.ids) != 2:
        raise ArtifactError(
            f"{path}: expected one token before a text and one after it, [CLS] and [SEP], got "
            f"{len(empty.ids)} in all; export the model folder again"
        )
    return tokenizer


def tokenize(
    tokenizer: Tokenizer,
    texts: Sequence[str],
    max_seq_length: int,
    overflow: Overflow = "truncate",
    unknown: str = UNKNOWN,
) -> TokenizedTexts:
    """Turn texts into token ids.

    Args:
        tokenizer: from `load_tokenizer`.
        texts: what to read.
        max_seq_length: tokens of a run, special tokens included.
        overflow: what becomes of longer texts: "truncate" and "warn" keep the first
            `max_seq_length - 1` ids and the closing [SEP], as sentence-transformers does;
            "head_tail" the first and the last half; "window" all, in rows that overlap by a
            quarter; "error" refuses them.
        unknown: the token that stands for what the vocabulary lacks.

    Raises:
        InputError: an element is not a str, or holds a lone surrogate, or is too long where that
            is an error; its position is named.
    """
    check_texts(texts)
    tokens = to_ids(tokenizer, texts, max_seq_length, overflow, unknown)
    if overflow == "error":
        refuse_long(tokens.reports, max_seq_length)
    return tokens


def to_ids(
    tokenizer: Tokenizer,
    texts: Sequence[str],
    max_seq_length: int,
    overflow: Overflow,
    unknown: str,
) -> TokenizedTexts:
    """Do what `tokenize` does for texts that are checked, and leave it to the caller to refuse.

    Raises:
        InputError: the overflow is none of those.
    """
    check_overflow(overflow)
    unknown_id = tokenizer.token_to_id(unknown)
    ids: list[IdArray] = []
    windows: list[int] = []
    reports: list[TextReport] = []
    for full in whole_ids(tokenizer, texts):
        rows = [full]
        if len(full) > max_seq_length:
            rows = shorten(full, max_seq_length, overflow)
        kept = len(full) if overflow == "window" else len(rows[0])
        share = float(np.count_nonzero(full == unknown_id) / max(1, len(full) - 2))
        ids += rows
        windows.append(len(rows))
        reports.append(TextReport(len(full), kept, share))
    return TokenizedTexts(ids, windows, reports)


def check_texts(texts: Sequence[str], first: int = 0) -> None:
    """Raise InputError at the first element that is not a str of valid Unicode.

    Args:
        texts: what was given.
        first: position of the first of them, for the error.
    """
    for position, text in enumerate(texts, first):
        if not isinstance(text, str):
            raise InputError(
                f"texts[{position}]: expected a str, got {describe(text)}; "
                "convert or drop it before encoding"
            )
        if text.isascii():
            continue
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise InputError(
                f"texts[{position}]: expected valid Unicode, got the lone surrogate "
                f"U+{ord(text[error.start]):04X} at character {error.start}; "
                "decode the original bytes with errors='replace'"
            ) from None
