"""From token vectors to one vector a text, in sentence-transformers' ways.

https://sbert.net/docs/package_reference/sentence_transformer/modules.html#pooling
"""

from collections.abc import Callable

import numpy as np

from minilm_onnx.arrays import FloatArray

# sentence-transformers' Normalize divides by at least this.
MIN_NORM = np.float32(1e-12)
# Of this many numbers or fewer the sums along rows are faster one by one than by halves.
FEW = 32


def add_up(array: FloatArray) -> FloatArray:
    """Add along axis 1 in an order that is the same on every CPU and in every version of numpy.

    numpy promises no order for its own sums. Here the second half is added to the first, again and
    again; of an odd number the last is added to the first. The last FEW of an (N, H) array are
    added one by one, as `accumulate` is defined to.

    Args:
        array: (B, N) or (B, N, ...) float32.

    Returns:
        (B, ...) float32.
    """
    while array.shape[1] > 1:
        if array.ndim == 2 and array.shape[1] <= FEW:
            return np.asarray(np.add.accumulate(array, axis=1)[:, -1])
        half = array.shape[1] // 2
        added = array[:, :half] + array[:, half : 2 * half]
        if array.shape[1] % 2:
            added[:, 0] += array[:, -1]
        array = added
    return array[:, 0] if array.shape[1] else array.sum(axis=1)


def mean_pool(hidden: FloatArray) -> FloatArray:
    """Average the token vectors of each text.

    Args:
        hidden: last hidden state of texts of equal length, (B, T, H) float32.

    Returns:
        (B, H) float32.
    """
    pooled: FloatArray = add_up(hidden) / np.float32(hidden.shape[1])
    return pooled


def weighted_mean_pool(hidden: FloatArray) -> FloatArray:
    """Average the token vectors of each text, the T-th with T times the first one's weight."""
    places = np.arange(1, hidden.shape[1] + 1, dtype=np.float32)
    summed = add_up(hidden * places[:, None])
    pooled: FloatArray = summed / np.float32(len(places) * (len(places) + 1) // 2)
    return pooled


def sqrt_mean_pool(hidden: FloatArray) -> FloatArray:
    """Add the token vectors of each text, and divide by the root of their number."""
    pooled: FloatArray = add_up(hidden) / np.sqrt(np.float32(hidden.shape[1]))
    return pooled


# By sentence-transformers' names, in the order in which it puts several side by side.
POOLINGS: dict[str, Callable[[FloatArray], FloatArray]] = {
    "cls": lambda hidden: hidden[:, 0],
    # Plus zero, because of 0 and -0 either may be the larger one.
    "max": lambda hidden: hidden.max(axis=1) + np.float32(0),
    "mean": mean_pool,
    "mean_sqrt_len_tokens": sqrt_mean_pool,
    "weightedmean": weighted_mean_pool,
    "lasttoken": lambda hidden: hidden[:, -1],
}


def pool(hidden: FloatArray, pooling: str) -> FloatArray:
    """Make one vector of each text's token vectors.

    Args:
        hidden: last hidden state of texts of equal length, (B, T, H) float32.
        pooling: one of POOLINGS, or several with + between them.

    Returns:
        (B, H) float32, or H times as many as there are names.
    """
    parts = [POOLINGS[name](hidden) for name in pooling.split("+")]
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)


def l2_normalize(vectors: FloatArray) -> FloatArray:
    """Scale each row to Euclidean length 1; a zero row stays zero.

    Args:
        vectors: (N, H) float32.

    Returns:
        (N, H) float32.
    """
    norms = np.sqrt(add_up(vectors * vectors)[:, None])
    unit = vectors / np.maximum(norms, MIN_NORM)
    return unit.astype(np.float32, copy=False)
