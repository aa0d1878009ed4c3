"""What the raw engines need around them: sorted, padded batches and masked mean pooling.

The engines that bring their own text interface do without; these are the best settings for
those that take token ids. Needs numpy; `read_tokenizer` needs tokenizers.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.contenders import MAX_TOKENS, FloatArray

IdArray = npt.NDArray[np.int64]
Tokenize = Callable[[Sequence[str]], list[list[int]]]


def read_tokenizer(file: Path, tokens: int = MAX_TOKENS) -> Tokenize:
    """Load a tokenizer.json, cut texts at so many tokens and pad none."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.no_padding()
    tokenizer.enable_truncation(tokens)
    return lambda texts: [found.ids for found in tokenizer.encode_batch_fast(list(texts))]


def budget_batches(lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Group positions by length, longest first, under a budget of padded tokens.

    A batch is as wide as its longest text; one text beyond the budget still gets a batch.
    """
    batches: list[list[int]] = []
    width = 0
    for position in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if not batches or (len(batches[-1]) + 1) * width > budget:
            batches.append([])
            width = max(1, lengths[position])
        batches[-1].append(position)
    return batches


def rounded(length: int, multiple: int) -> int:
    """Round up to a multiple."""
    return -(-length // multiple) * multiple


def pad(ids: Sequence[Sequence[int]], multiple: int = 1) -> tuple[IdArray, IdArray]:
    """Give (B, T) ids padded with 0, which is this model's [PAD], and the mask of real tokens.

    T is the longest text's length, rounded up to a multiple.
    """
    lengths = np.array([len(row) for row in ids])
    mask = np.arange(rounded(int(lengths.max()), multiple)) < lengths[:, None]
    padded = np.zeros(mask.shape, dtype=np.int64)
    padded[mask] = np.concatenate([np.asarray(row, dtype=np.int64) for row in ids])
    return padded, mask.astype(np.int64)


def masked_unit_mean(hidden: FloatArray, lengths: Sequence[int]) -> FloatArray:
    """Average the real tokens of each text and scale to length 1.

    Args:
        hidden: (B, T, H) float32, padding included.
        lengths: real tokens of each text.

    Returns:
        (B, H) float32.
    """
    rows = np.stack(
        [row[:length].mean(axis=0) for row, length in zip(hidden, lengths, strict=True)]
    )
    unit: FloatArray = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    return unit.astype(np.float32, copy=False)
