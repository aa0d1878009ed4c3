"""From token vectors to one vector a text, in sentence-transformers' ways.

https://sbert.net/docs/package_reference/sentence_transformer/modules.html#pooling
"""

from collections.abc import Callable

import numpy as np

from minilm_onnx.arrays import FloatArray

# sentence-transformers' Normalize divides by at least this.
MIN_NORM = np.float32(1e-12)


def mean_pool(hidden: FloatArray) -> FloatArray:
    """Average the token vectors of each text.

    Args:
        hidden: last hidden state of texts of equal length, (B, T, H) float32.

    Returns:
        (B, H) float32.
    """
    pooled: FloatArray = hidden.mean(axis=1, dtype=np.float32)
    return pooled


def weighted_mean_pool(hidden: FloatArray) -> FloatArray:
    """Average the token vectors of each text, the T-th with T times the first one's weight."""
    places = np.arange(1, hidden.shape[1] + 1, dtype=np.float32)
    summed = (hidden * places[:, None]).sum(axis=1, dtype=np.float32)
    pooled: FloatArray = summed / places.sum(dtype=np.float32)
    return pooled


def sqrt_mean_pool(hidden: FloatArray) -> FloatArray:
    """Add the token vectors of each text, and divide by the root of their number."""
    summed = hidden.sum(axis=1, dtype=np.float32)
    pooled: FloatArray = summed / np.sqrt(np.float32(hidden.shape[1]))
    return pooled


# By sentence-transformers' names, in the order in which it puts several side by side.
POOLINGS: dict[str, Callable[[FloatArray], FloatArray]] = {
    "cls": lambda hidden: hidden[:, 0],
    "max": lambda hidden: hidden.max(axis=1),
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
    norms = np.sqrt(np.sum(vectors * vectors, axis=1, keepdims=True, dtype=np.float32))
    unit = vectors / np.maximum(norms, MIN_NORM)
    return unit.astype(np.float32, copy=False)
