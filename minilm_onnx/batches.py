"""Which texts run together: only texts of equal token length, so nothing is ever padded."""

from collections.abc import Iterator, Sequence

import numpy as np

from minilm_onnx.arrays import IndexArray

# Tokens a run. Against 256, measured on a 2-core AVX512-VNNI machine: 1.04 times on mixed texts,
# 1.08 on short ones, 1.09 on requests of 32; more than this gains nothing.
TOKEN_BUDGET = 1024


def equal_length_batches(
    lengths: Sequence[int], *, token_budget: int = TOKEN_BUDGET, max_texts: int | None = None
) -> Iterator[IndexArray]:
    """Group positions of equal length under a token budget, longest first.

    Args:
        lengths: tokens of each text.
        token_budget: tokens a batch may hold; a single longer text still gets a batch.
        max_texts: texts a batch may hold; None for no limit beyond the budget.

    Yields:
        Positions into `lengths`, (B,) intp, each position exactly once.
    """
    array = np.asarray(lengths, dtype=np.intp)
    order = np.argsort(-array, kind="stable")
    starts = np.flatnonzero(np.diff(array[order])) + 1
    for group in np.split(order, starts):
        if not len(group):
            continue
        size = max(1, token_budget // max(1, int(array[group[0]])))
        if max_texts is not None:
            size = min(size, max_texts)
        for first in range(0, len(group), size):
            yield group[first : first + size]
