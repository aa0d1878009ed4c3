"""Linear maps that follow pooling: sentence-transformers' Dense modules.

https://sbert.net/docs/package_reference/sentence_transformer/modules.html#dense
"""

import math
import os
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import numpy.typing as npt

from minilm_onnx.arrays import FloatArray
from minilm_onnx.errors import ArtifactError, shorten
from minilm_onnx.folder.files import check_file
from minilm_onnx.vectors.pooling import add_up

if TYPE_CHECKING:
    import zipfile

# Of the fraction below: as many as float32 can tell apart.
TERMS = 17


def tanh(vector: FloatArray) -> FloatArray:
    """Give the hyperbolic tangent within 3e-8, with the same bits on every CPU, unlike numpy's.

    Lambert's continued fraction x / (1 + x^2 / (3 + x^2 / (5 + ...))), of float32, in float64.
    """
    x = np.clip(vector.astype(np.float64), -10, 10)
    square, below = x * x, np.zeros_like(x)
    for odd in range(2 * TERMS + 1, 1, -2):
        below = square / (odd + below)
    return (x / (1 + below)).astype(np.float32)


ACTIVATIONS: dict[str, Callable[[FloatArray], FloatArray]] = {
    "identity": lambda vector: vector,
    "tanh": tanh,
}
# Bytes of a file, and of the list of what is in it. The largest map that is known has a quarter of
# it, of 1,024 to 8,192 components.
MOST, MOST_LISTED = 2**27, 2**14
# The end of an archive that has no comment: its signature, the bytes of its list, and of a comment.
# https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, 4.3.16
END = struct.Struct("<4s8xL4xH")


@dataclass(frozen=True)
class Dense:
    """One map.

    Attributes:
        weight: (H, D) float32.
        bias: (D,) float32.
        activation: one of ACTIVATIONS.
    """

    weight: FloatArray
    bias: FloatArray
    activation: str

    def __call__(self, vectors: FloatArray) -> FloatArray:
        """Map (N, H) float32 rows to (N, D)."""
        out = np.empty((len(vectors), len(self.bias)), dtype=np.float32)
        activate = ACTIVATIONS[self.activation]
        for place, vector in enumerate(vectors):
            # A row at a time, and in one order: BLAS adds in another for other numbers of rows,
            # threads and CPUs, and a text's bits must not depend on them.
            products = vector[:, None] * self.weight
            out[place] = activate(add_up(products[None])[0] + self.bias)
        return out


def save_dense(path: Path, maps: Sequence[Dense]) -> None:
    """Write maps, in their order, to an .npz file."""
    arrays = {}
    for place, dense in enumerate(maps):
        arrays[f"weight{place}"] = dense.weight
        arrays[f"bias{place}"] = dense.bias
        arrays[f"activation{place}"] = np.array(dense.activation)
    np.savez(path, **arrays)  # type: ignore[arg-type]  # numpy's stub takes them for allow_pickle


def read_dense(path: Path, width: int) -> list[Dense]:
    """Read what `save_dense` wrote, in memory that the size of the file bounds.

    Args:
        path: the file.
        width: H of the first map.

    Raises:
        ArtifactError: it is missing, too large, damaged or of another form.
    """
    check_file(path, MOST)
    maps: list[Dense] = []
    try:
        with path.open("rb") as file:
            arrays = _read_arrays(file)
        while arrays or not maps:
            names = [f"{name}{len(maps)}.npy" for name in ("activation", "weight", "bias")]
            activation, weight, bias = (arrays.pop(name) for name in names)
            kind, floats = str(activation), weight.dtype == bias.dtype == np.float32
            right = floats and bias.shape == weight.shape[1:] != (0,) and weight.ndim == 2
            if kind not in ACTIVATIONS or not right or len(weight) != width:
                raise ValueError(f"{kind} of {weight.shape} after {width} components")
            maps.append(Dense(weight, bias, kind))
            width = len(bias)
    except Exception as error:  # zipfile, zlib and numpy raise of every kind at damaged files
        raise ArtifactError(
            f"{path}: expected weights, biases and activations ({', '.join(ACTIVATIONS)}), as they "
            f"are in memory, got {shorten(repr(error))}; export the model folder again"
        ) from error
    return maps


def _read_arrays(file: BinaryIO) -> dict[str, npt.NDArray[Any]]:
    """Read the arrays of an .npz file; none is larger than what is there of it."""
    import zipfile  # not needed by the bundled model, and with all that it imports 10 ms to load

    size = file.seek(0, os.SEEK_END)
    file.seek(-min(size, END.size), os.SEEK_CUR)
    signature, listed, comment = END.unpack(file.read().ljust(END.size))
    if signature != b"PK\5\6" or listed > MOST_LISTED or comment:
        raise ValueError("no archive of numpy's")
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        # Not packed, and no bytes that count twice.
        if sum(member.file_size for member in members) > size:
            raise ValueError(f"arrays of more bytes than the file's {size}")
        return {member.filename: _read_array(archive, member) for member in members}


def _read_array(archive: "zipfile.ZipFile", member: "zipfile.ZipInfo") -> npt.NDArray[Any]:
    """Read a float32 array, or a text, whose header is true of what follows it."""
    with archive.open(member) as source:
        version = np.lib.format.read_magic(source)
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(source)
        length = member.file_size - source.tell()
        known = dtype.kind == "U" or dtype == np.float32
        if version != (1, 0) or not known or math.prod(shape) * dtype.itemsize != length:
            raise ValueError(f"{member.filename} of {dtype} {shape} in {length} bytes")
        data = source.read()
    array = np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")
    return np.asarray(array, order="C")
