"""Vectors made smaller: fewer components, or a byte or a bit for each."""

import warnings
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from minilm_onnx.arrays import CodeArray, FloatArray
from minilm_onnx.checks import check_choice, check_positive
from minilm_onnx.errors import InputError
from minilm_onnx.vectors.inputs import Vectors, as_floats, as_numbers, refuse_nan
from minilm_onnx.vectors.pooling import l2_normalize

Precision: TypeAlias = Literal["float32", "int8", "uint8", "binary", "ubinary"]

TYPES = {"int8": np.int8, "uint8": np.uint8, "binary": np.int8, "ubinary": np.uint8}
# Ranges of fewer vectors than these hardly cover what comes later.
ENOUGH_FOR_RANGES = 100


def truncate_embeddings(
    embeddings: FloatArray, truncate_dim: int, *, normalize: bool = False
) -> FloatArray:
    """Keep the first components of each vector.

    all-MiniLM-L6-v2 was not trained for this, as Matryoshka models are, so quality drops.

    Args:
        embeddings: (N, H) or (H,) float32.
        truncate_dim: how many components to keep, at most H.
        normalize: whether to scale the shortened vectors to length 1 again. Cosines do not need
            this, dot products do. It is off by default, as in sentence-transformers.

    Returns:
        (N, truncate_dim) or (truncate_dim,) float32.

    Raises:
        InputError: the vectors have fewer components, or `embeddings` holds no vectors.
    """
    array = as_floats("embeddings: expected (N, H) floats", embeddings)
    if array.ndim not in (1, 2):
        raise InputError(f"embeddings: expected (N, H) or (H,), got {array.shape}; encode texts")
    check_positive("truncate_dim", truncate_dim, array.shape[-1])
    kept: FloatArray = np.ascontiguousarray(array[..., :truncate_dim])
    return l2_normalize(np.atleast_2d(kept)).reshape(kept.shape) if normalize else kept


def quantize_embeddings(
    embeddings: Vectors,
    precision: Precision,
    ranges: npt.ArrayLike | None = None,
    calibration_embeddings: Vectors | None = None,
) -> FloatArray | CodeArray:
    """Store each component of vectors in a byte or a bit.

    The values are the same as from the function of this name in sentence-transformers, with one
    exception: equal vectors without ranges are refused here. There they all get the same codes,
    whatever the vectors are.

    Args:
        embeddings: (N, H) float.
        precision: "float32" only changes the type. "int8" and "uint8" divide the range from the
            minimum to the maximum of each component into 256 steps. "ubinary" keeps the signs, 8
            components per byte; "binary" stores these bytes minus 128.
        ranges: (2, H), the minimum and maximum of each component, for "int8" and "uint8". Only
            compare vectors that were stored with the same ranges.
        calibration_embeddings: (K, H) float, vectors to take the ranges from. If neither is
            given, the ranges are taken from `embeddings`.

    Returns:
        (N, H) float32, int8 or uint8; (N, H / 8), rounded up, for "binary" and "ubinary".

    Raises:
        InputError: the vectors are not (N, H) floats, the ranges are not (2, H) or are empty,
            there is a NaN, the precision is unknown, or the ranges would be taken from a single
            vector or from equal ones.
    """
    array = as_numbers("embeddings: expected (N, H) floats", embeddings)
    if array.ndim != 2 or array.dtype.kind != "f":
        raise InputError(
            f"embeddings: expected (N, H) floats, got {array.dtype} of shape {array.shape}; "
            "quantise what encode gives"
        )
    check_precision(precision)
    if precision == "float32":
        same: FloatArray = array.astype(np.float32)
        return same
    refuse_nan("embeddings", array)
    if precision in ("binary", "ubinary"):
        bits: npt.NDArray[np.uint8] = np.packbits(array > 0, axis=-1)
        return bits if precision == "ubinary" else (bits.astype(np.int16) - 128).astype(np.int8)
    if ranges is None and calibration_embeddings is None and not len(array):
        empty: CodeArray = np.empty(array.shape, dtype=TYPES[precision])
        return empty
    if ranges is None:
        ranges = ranges_of(array if calibration_embeddings is None else calibration_embeddings)
    bounds = as_numbers("ranges: expected (2, H) numbers", ranges)
    if bounds.shape != (2, array.shape[1]):
        raise InputError(
            f"ranges: expected (2, {array.shape[1]}), got {bounds.shape}; give the minimum and "
            "the maximum of each component"
        )
    if array.size and (np.any(bounds[1] < bounds[0]) or np.array_equal(*bounds)):
        raise InputError(
            "ranges: expected the minima, then the maxima, got equal or swapped ones; give "
            "ranges_of some hundred vectors"
        )
    steps = (bounds[1] - bounds[0]) / 255
    steps = np.where(steps == 0, 1, steps)
    codes = np.clip(np.floor((array - bounds[0]) / steps), 0, 255)
    refuse_nan("ranges", codes)
    stored: CodeArray = codes.astype(np.uint8)
    if precision == "int8":
        stored = (codes - 128).astype(np.int8)
    return stored


def int8_codes(vectors: FloatArray) -> CodeArray:
    """Give each vector as 127 times itself over its own greatest component, rounded.

    A cosine does not ask for the scale, so that nothing has to be kept beside the codes.

    Args:
        vectors: (N, H) float32.

    Returns:
        (N, H) int8.
    """
    greatest = np.maximum(np.abs(vectors).max(axis=1, keepdims=True), np.float32(1e-12))
    codes: CodeArray = np.rint(vectors / greatest * 127).astype(np.int8)
    return codes


def check_precision(precision: str) -> None:
    """Raise InputError unless this is one of the ways to store a component."""
    check_choice("precision", precision, get_args(Precision))


def ranges_of(embeddings: Vectors) -> FloatArray:
    """Return the minimum and maximum of each component, for `quantize_embeddings`.

    Args:
        embeddings: (N, H) float; some hundred vectors, similar to those to be stored.

    Returns:
        (2, H), of the same type as the vectors.

    Raises:
        InputError: there are no vectors, or they are all equal.
    """
    array = as_numbers("embeddings: expected (N, H) floats", embeddings)
    if array.ndim != 2 or not len(array):
        raise InputError(f"embeddings: expected (N, H), N at least 1, got {array.shape}")
    bounds: FloatArray = np.vstack((array.min(axis=0), array.max(axis=0)))
    if np.array_equal(*bounds) and array.size:
        raise InputError(
            "int8 and uint8 take their ranges from the vectors of the call: expected vectors that "
            f"differ, got {'one' if len(array) == 1 else f'{len(array)} equal ones'}; encode in "
            "float32, then give quantize_embeddings the ranges_of "
            f"{ENOUGH_FOR_RANGES} vectors or more"
        )
    if len(array) < ENOUGH_FOR_RANGES:
        warnings.warn(
            f"ranges of {len(array)} vectors hardly cover others; give {ENOUGH_FOR_RANGES} or more "
            "as calibration_embeddings, or ranges",
            stacklevel=3,
        )
    return bounds


def dequantize_embeddings(
    codes: CodeArray, precision: Precision, ranges: npt.ArrayLike | None = None
) -> FloatArray:
    """Turn stored codes back into vectors, as far as they can be restored.

    Args:
        codes: the result of `quantize_embeddings`: (N, H), or (N, H / 8) for "binary" and
            "ubinary".
        precision: the one that was used there, except "float32". "binary" and "ubinary" give
            values of -1 and 1.
        ranges: (2, H), the ranges that were used there; required for "int8" and "uint8".

    Returns:
        (N, H) float32, each value in the middle of its step.

    Raises:
        InputError: required ranges are missing, or the precision is unknown.
    """
    array: Any = check_codes(codes, precision)
    if precision in ("binary", "ubinary"):
        unsigned = array if precision == "ubinary" else array.astype(np.int16) + 128
        signs: FloatArray = np.unpackbits(unsigned.astype(np.uint8), axis=-1).astype(np.float32)
        return 2 * signs - 1
    bounds = check_ranges(ranges, precision, array.shape[1])
    steps = array.astype(np.float32) + np.float32(128 if precision == "int8" else 0)
    values: FloatArray = bounds[0] + (steps + np.float32(0.5)) * (bounds[1] - bounds[0]) / 255
    return values


def check_codes(codes: npt.ArrayLike, precision: Precision) -> CodeArray:
    """Give codes as the array they must be: (N, H), of the precision's type.

    Raises:
        InputError: they are something else, or the precision is none of bytes or bits.
    """
    check_choice("precision", precision, list(TYPES))
    array: CodeArray = as_numbers("codes: expected (N, H) integers", codes)
    if array.ndim != 2 or array.dtype != TYPES[precision]:
        raise InputError(
            f"codes: expected (N, H) {np.dtype(TYPES[precision])} for {precision}, got "
            f"{array.dtype} of shape {array.shape}; give what quantize_embeddings gave"
        )
    return array


def check_ranges(ranges: npt.ArrayLike | None, precision: Precision, width: int) -> FloatArray:
    """Give ranges as (2, H) float32.

    Raises:
        InputError: they are missing or of another shape.
    """
    bounds: FloatArray = np.empty(0, dtype=np.float32)
    if ranges is not None:
        bounds = as_floats("ranges: expected (2, H) numbers", ranges)
    if bounds.shape != (2, width):
        raise InputError(
            f"ranges: expected the (2, {width}) that {precision} codes were made with, got "
            f"{None if ranges is None else bounds.shape}; keep them beside the codes"
        )
    return bounds
