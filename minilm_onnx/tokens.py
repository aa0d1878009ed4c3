"""From texts to token ids."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from minilm_onnx.arrays import IdArray
from minilm_onnx.errors import ArtifactError, InputError

# Texts given to the tokenizer at a time: its encodings weigh far more than the ids kept of them.
SLICE = 256


@dataclass(frozen=True)
class TokenizedTexts:
    """What the model will read of some texts.

    Attributes:
        ids: token ids of each text, special tokens included, each (T,) int64.
        lengths: tokens of each text before it was cut, special tokens included.
    """

    ids: list[IdArray]
    lengths: list[int]

    @property
    def cut(self) -> int:
        """Number of texts that were longer than the model reads."""
        return sum(len(ids) < length for ids, length in zip(self.ids, self.lengths, strict=True))


def load_tokenizer(path: Path) -> Tokenizer:
    """Make the tokenizer of a tokenizer.json, without the truncation and padding it may carry.

    The checkpoint's file cuts and pads at 128 tokens; sentence-transformers ignores both,
    and so does this. After this call nobody changes the tokenizer, which makes it safe to
    share between threads.

    Raises:
        ArtifactError: the file is not a tokenizer.
    """
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises bare Exception
        raise ArtifactError(
            f"{path}: expected a tokenizer.json of the tokenizers library, got {error}; "
            "export the model folder again"
        ) from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def tokenize(tokenizer: Tokenizer, texts: Sequence[str], max_seq_length: int) -> TokenizedTexts:
    """Turn texts into token ids, cut to the first `max_seq_length` tokens.

    As sentence-transformers cuts: the first `max_seq_length - 1` ids, then the closing [SEP].

    Raises:
        InputError: an element is not a str, or holds a lone surrogate; its position is named.
    """
    check_texts(texts)
    ids: list[IdArray] = []
    lengths: list[int] = []
    for first in range(0, len(texts), SLICE):
        for encoding in tokenizer.encode_batch_fast(list(texts[first : first + SLICE])):
            full = encoding.ids
            lengths.append(len(full))
            if len(full) > max_seq_length:
                full = [*full[: max_seq_length - 1], full[-1]]
            ids.append(np.array(full, dtype=np.int64))
    return TokenizedTexts(ids, lengths)


def check_texts(texts: Sequence[str]) -> None:
    """Raise InputError at the first element that is not a str of valid Unicode."""
    for position, text in enumerate(texts):
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


def describe(value: object) -> str:
    """Name a wrong value's type, and the value where that is short."""
    name = type(value).__name__
    if value is None:
        return "None"
    if isinstance(value, bool | int | float):
        return f"{name} {value!r}"
    return name
