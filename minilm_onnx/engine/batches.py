"""Which texts run together, and on how many threads.

Only texts of equal token length share a run, so nothing is ever padded.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from minilm_onnx.arrays import IndexArray

# Tokens a run. Measured on a 2-core AVX512-VNNI machine: 512 and 1024 are no faster (0.95 to 1.02
# times, mixed and short texts) and take 22 and 62 MiB more over 10,000 mixed texts.
TOKEN_BUDGET = 256
# What a batch costs, fitted to runs of one thread on the same machine: 150 to 300 us a run, 75 us
# a token, and attention, which grows with the text's length.
RUN_COST = 3.0
ATTENTION_DOUBLES = 730.0
# Two threads that share a batch do 1.6 to 1.9 times what one does, 1.7 in the middle; more are
# assumed to lose as much each (2.6 times for 4, 4.4 for 16).
SHARED_LOSS = 0.176


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


def plan(
    shapes: Sequence[tuple[int, ...]], threads: int, *, apart: bool = False
) -> tuple[list[int], list[int]]:
    """Decide which batches all threads share, one after the other, and which run one a thread.

    Threads that share a batch wait for each other after every operator, so a batch a thread is
    the rule; but one that takes longer than all others together would leave the rest idle.

    Args:
        shapes: (B, T) of each batch.
        threads: threads that work at a time.
        apart: whether none is to be shared, where there are threads to choose from.

    Returns:
        Positions into `shapes` of both kinds, the dearest first.
    """
    costs = [cost(texts, tokens) for texts, tokens in shapes]
    order = sorted(range(len(costs)), key=lambda place: -costs[place])
    if threads == 1:
        return order, []
    if apart:
        return [], order
    left = sum(costs)
    together = 0.0
    shared_speed = threads / (1.0 + SHARED_LOSS * (threads - 1))
    best = (np.inf, 0)
    for count in range(len(order) + 1):
        longest = costs[order[count]] if count < len(order) else 0.0
        best = min(best, (together + max(longest, left / threads), count))
        together += longest / shared_speed
        left -= longest
    return order[: best[1]], order[best[1] :]


def cost(texts: int, tokens: int) -> float:
    """Estimate how long one thread takes for a batch, in units of a token of a short text."""
    return RUN_COST + texts * tokens * (1.0 + tokens / ATTENTION_DOUBLES)
