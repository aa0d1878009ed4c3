"""What becomes of texts that are longer than the model reads."""

from typing import Literal, TypeAlias, get_args

import numpy as np

from minilm_onnx.arrays import IdArray
from minilm_onnx.checks import check_choice

Overflow: TypeAlias = Literal["truncate", "warn", "error", "window", "head_tail"]
# Of a window, that the next one reads again.
OVERLAP = 0.25


def check_overflow(overflow: str) -> None:
    """Raise InputError if long texts are not dealt with that way."""
    check_choice("overflow", overflow, get_args(Overflow))


def shorten(full: IdArray, limit: int, overflow: Overflow) -> list[IdArray]:
    """Make rows of at most `limit` ids of a longer text, [CLS] and [SEP] around each.

    Args:
        full: (T,) int64, T more than the limit.
        limit: ids a row.
        overflow: see `minilm_onnx.text.tokens.tokenize`.
    """
    if overflow == "head_tail":
        head = limit // 2
        return [np.concatenate([full[:head], full[head - limit :]])]
    if overflow != "window":
        return [np.concatenate([full[: limit - 1], full[-1:]])]
    words = full[1:-1]
    width = limit - 2
    step = max(1, width - int(width * OVERLAP))
    return [
        np.concatenate([full[:1], words[first : first + width], full[-1:]])
        for first in range(0, max(1, len(words) - width + step), step)
    ]
