"""How alike vectors are, by four measures."""

from collections.abc import Callable
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from minilm_onnx.arrays import FloatArray
from minilm_onnx.checks import check_choice
from minilm_onnx.errors import InputError
from minilm_onnx.vectors.inputs import Vectors, as_floats
from minilm_onnx.vectors.pooling import l2_normalize

Measure: TypeAlias = Literal["cosine", "dot", "euclidean", "manhattan"]


def similarity(a: Vectors, b: Vectors, measure: Measure = "cosine") -> FloatArray:
    """Compare every row of `a` with every row of `b`; higher means more similar.

    The values are those of `similarity` in sentence-transformers, where distances are negative as
    well.

    Args:
        a: (N, H) float, or one vector (H,).
        b: (M, H) float, or one vector (H,).
        measure: "cosine"; "dot"; "euclidean" or "manhattan", the negative distance.

    Returns:
        (N, M) float32.

    Raises:
        InputError: an array is not one- or two-dimensional, their H differs, or the measure is
            unknown.
    """
    check_measure(measure)
    compared: FloatArray = _MEASURES[measure](*_rows(a, b))
    return compared


def similarity_pairwise(a: Vectors, b: Vectors, measure: Measure = "cosine") -> FloatArray:
    """Compare each row of `a` with the same row of `b`.

    Args:
        a: (N, H) float, or one vector (H,).
        b: (N, H) float, or one vector (H,).
        measure: as in `similarity`.

    Returns:
        (N,) float32.

    Raises:
        InputError: the arrays differ in shape, or the measure is unknown.
    """
    check_measure(measure)
    left, right = _rows(a, b)
    if left.shape != right.shape:
        raise InputError(
            f"similarity_pairwise: expected two arrays of one shape, got {np.shape(a)} and "
            f"{np.shape(b)}; use similarity to compare all with all"
        )
    compared: FloatArray = _PAIRWISE[measure](left, right)
    return compared


def check_measure(measure: str, name: str = "measure") -> None:
    """Raise InputError, which names the argument, if vectors are not compared that way."""
    check_choice(name, measure, get_args(Measure))


def _rows(a: Vectors, b: Vectors) -> tuple[FloatArray, FloatArray]:
    """Make two arrays of rows, (N, H) and (M, H) float32."""
    left, right = (
        np.atleast_2d(as_floats("similarity: expected vectors of numbers", vectors))
        for vectors in (a, b)
    )
    if left.ndim != 2 or right.ndim != 2 or left.shape[1] != right.shape[1]:
        raise InputError(
            f"similarity: expected (N, H) and (M, H), got {np.shape(a)} and {np.shape(b)}; "
            "give vectors of one model"
        )
    return left, right


def _euclidean(a: FloatArray, b: FloatArray) -> FloatArray:
    # In float64, since the squares of near vectors cancel.
    left, right = a.astype(np.float64), b.astype(np.float64)
    squares = (left**2).sum(axis=1)[:, None] + (right**2).sum(axis=1) - 2 * left @ right.T
    distances: FloatArray = np.sqrt(np.maximum(squares, 0)).astype(np.float32)
    return -distances


def _manhattan(a: FloatArray, b: FloatArray) -> FloatArray:
    distances: FloatArray = np.empty((len(a), len(b)), dtype=np.float32)
    for line, row in zip(distances, a, strict=True):
        line[:] = np.abs(b - row).sum(axis=1)
    return -distances


_MEASURES: dict[str, Callable[[FloatArray, FloatArray], Any]] = {
    "cosine": lambda a, b: l2_normalize(a) @ l2_normalize(b).T,
    "dot": lambda a, b: a @ b.T,
    "euclidean": _euclidean,
    "manhattan": _manhattan,
}
_PAIRWISE: dict[str, Callable[[FloatArray, FloatArray], Any]] = {
    "cosine": lambda a, b: (l2_normalize(a) * l2_normalize(b)).sum(axis=1),
    "dot": lambda a, b: (a * b).sum(axis=1),
    "euclidean": lambda a, b: -np.sqrt(((a - b) ** 2).sum(axis=1)),
    "manhattan": lambda a, b: -np.abs(a - b).sum(axis=1),
}
