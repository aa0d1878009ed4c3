"""From texts to token ids."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from minilm_onnx.arrays import IdArray
from minilm_onnx.errors import ArtifactError, InputError, describe
from minilm_onnx.folder.files import MOST_TOKENIZER, check_file
from minilm_onnx.text.overflow import Overflow, check_overflow, shorten
from minilm_onnx.text.pieces import cut, piece_ids, where_to_cut, whole_ids
from minilm_onnx.text.reports import TextReport, refuse_long

UNKNOWN = "[UNK]"
# Characters of which nothing can be cut off, that a step of `tokenize_in_turns` reads: half a
# second and 50 MiB.
MOST_UNCUT = 2**20


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


def tokenize_in_turns(
    tokenizer: Tokenizer, texts: Sequence[str], max_seq_length: int, unknown: str, first: int = 0
) -> Iterator[TokenizedTexts]:
    """Do as `tokenize` with "truncate", in steps of some tenths of a second.

    Of a long text no more is kept than what will be read of it.

    Args:
        tokenizer: from `load_tokenizer`.
        texts: what to read.
        max_seq_length: tokens of a run, special tokens included.
        unknown: the token that stands for what the vocabulary lacks.
        first: position of the first text, for errors.

    Yields:
        of each step, the texts that are complete now; there may be none.

    Raises:
        InputError: as `tokenize`; or a text is too long for a step, and cannot be cut.
    """
    check_texts(texts, first)
    _check_steps(tokenizer, texts, first)
    unknown_id = tokenizer.token_to_id(unknown)
    # Of the text that is being read: its ids, how many more will be kept, and all its tokens.
    row: list[IdArray] = []
    room = tokens = unknowns = 0
    for some in piece_ids(tokenizer, texts):
        ids: list[IdArray] = []
        reports: list[TextReport] = []
        for piece, last in some:
            if not row:
                row, room, tokens, unknowns = [piece[:1]], max_seq_length - 2, 0, 0
            if room > 0:
                row.append(piece[1:-1][:room].copy())  # a view would keep the whole
                room -= len(row[-1])
            tokens += len(piece) - 2
            unknowns += int(np.count_nonzero(piece == unknown_id))
            if last:
                ids.append(np.concatenate([*row, piece[-1:]]))
                share = unknowns / max(1, tokens)
                reports.append(TextReport(tokens + 2, len(ids[-1]), share))
                row = []
        yield TokenizedTexts(ids, [1] * len(ids), reports)


def _check_steps(tokenizer: Tokenizer, texts: Sequence[str], first: int) -> None:
    """Raise InputError at the first text that has too much in one piece."""
    for position, text in enumerate(texts, first):
        if len(text) > MOST_UNCUT:
            most = max(map(len, cut(text, where_to_cut(tokenizer))))
            if most > MOST_UNCUT:
                raise InputError(
                    f"texts[{position}]: expected at most {MOST_UNCUT} characters without a space "
                    f"or punctuation, got {most}; put spaces between, or shorten it"
                )


def unknown_characters(tokenizer: Tokenizer, text: str, unknown: str = UNKNOWN) -> float:
    """Give the share of a text's characters, spaces left out, that are in unknown tokens.

    A word of hundreds of characters is one such token, as a rune is.
    """
    encoding = tokenizer.encode(text, add_special_tokens=False)
    sizes = [end - start for start, end in encoding.offsets]
    lost = sum(size for size, token in zip(sizes, encoding.tokens, strict=True) if token == unknown)
    return float(lost / max(1, sum(sizes)))


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
