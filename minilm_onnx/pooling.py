"""From token vectors to one unit vector a text."""

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
