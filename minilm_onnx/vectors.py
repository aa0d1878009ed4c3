"""What is done with vectors once they are made."""

import numpy as np

from minilm_onnx.arrays import FloatArray
from minilm_onnx.errors import InputError
from minilm_onnx.pooling import l2_normalize


def similarity(a: FloatArray, b: FloatArray) -> FloatArray:
    """Compute the cosine similarity of every row of `a` with every row of `b`.

    Args:
        a: (N, H) float32, or one vector (H,).
        b: (M, H) float32, or one vector (H,).

    Returns:
        (N, M) float32.

    Raises:
        InputError: the two are not one- or two-dimensional with the same H.
    """
    try:
        left, right = (np.atleast_2d(np.asarray(vectors, dtype=np.float32)) for vectors in (a, b))
    except (TypeError, ValueError) as error:
        raise InputError(
            f"similarity: expected vectors of numbers, got {error}; encode texts first"
        ) from error
    if left.ndim != 2 or right.ndim != 2 or left.shape[1] != right.shape[1]:
        raise InputError(
            f"similarity: expected (N, H) and (M, H), got {np.shape(a)} and {np.shape(b)}; "
            "give vectors of one model"
        )
    cosines: FloatArray = l2_normalize(left) @ l2_normalize(right).T
    return cosines
