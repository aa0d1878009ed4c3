"""Vectors as callers give them, made arrays of numbers."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from minilm_onnx.arrays import FloatArray
from minilm_onnx.errors import InputError, shorten

Vectors: TypeAlias = FloatArray | Sequence[FloatArray] | Sequence[Sequence[float]] | Sequence[float]


def as_numbers(expected: str, value: npt.ArrayLike) -> npt.NDArray[Any]:
    """Give an array of numbers of any type; what is none yet is made one, as numpy does.

    Args:
        expected: what and which, for the error.
        value: what was given.

    Raises:
        InputError: it cannot be.
    """
    try:
        array = np.asarray(value)
        if array.dtype.kind == "O":
            array = array.astype(np.float32)
    except Exception as error:  # whatever the conversion of somebody's object raises
        raise InputError(
            f"{expected}, got {shorten(str(error))}; give what encode gives"
        ) from error
    if array.dtype.kind not in "biuf":
        raise InputError(f"{expected}, got {array.dtype}; give what encode gives")
    return array


def as_floats(expected: str, value: npt.ArrayLike) -> FloatArray:
    """Give an array of float32; see `as_numbers`."""
    floats: FloatArray = as_numbers(expected, value).astype(np.float32, copy=False)
    return floats


def refuse_nan(name: str, array: npt.NDArray[Any]) -> None:
    """Raise InputError if a NaN is there, which has no place in an order and no code."""
    if array.size and np.isnan(array.max()):
        raise InputError(f"{name}: expected numbers, got NaN; drop rows that hold NaN or infinity")
