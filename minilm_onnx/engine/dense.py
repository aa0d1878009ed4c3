"""Linear maps that follow pooling: sentence-transformers' Dense modules.

https://sbert.net/docs/package_reference/sentence_transformer/modules.html#dense
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from minilm_onnx.arrays import FloatArray
from minilm_onnx.errors import ArtifactError
from minilm_onnx.folder.files import check_file

ACTIVATIONS: dict[str, Callable[[FloatArray], FloatArray]] = {
    "identity": lambda vector: vector,
    "tanh": np.tanh,
}


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
            # A row at a time, and by numpy's own loop: BLAS adds in another order for other
            # numbers of rows and threads, and a text's bits must not depend on them.
            out[place] = activate(np.einsum("h,hd->d", vector, self.weight) + self.bias)
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
    """Read what `save_dense` wrote.

    Args:
        path: the file.
        width: H of the first map.

    Raises:
        ArtifactError: it is missing or of another form.
    """
    check_file(path)
    maps = []
    try:
        with np.load(path, allow_pickle=False) as arrays:
            for place in range(len(arrays.files) // 3):
                activation = str(arrays[f"activation{place}"])
                weight, bias = (
                    np.ascontiguousarray(arrays[f"{name}{place}"], dtype=np.float32)
                    for name in ("weight", "bias")
                )
                if activation not in ACTIVATIONS or weight.shape != (width, len(bias)):
                    raise ValueError(f"{activation} of {weight.shape} after {width} components")
                maps.append(Dense(weight, bias, activation))
                width = len(bias)
    except (ValueError, TypeError, KeyError, OSError, EOFError) as error:
        raise ArtifactError(
            f"{path}: expected weights, biases and activations ({', '.join(ACTIVATIONS)}), got "
            f"{error!r}; export the model folder again"
        ) from error
    return maps
