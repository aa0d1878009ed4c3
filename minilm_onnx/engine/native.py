"""The library of native operators, where this installation has one; see docs/operators.md."""

import ctypes
import functools
import os
from dataclasses import dataclass
from pathlib import Path

from minilm_onnx.errors import InputError, SessionError, shown

FOLDER = Path(__file__).parents[1] / "native"
NAMES = ("minilm.so", "minilm.dylib", "minilm.dll")
# Names a kernel to use in place of the best one, or none of them.
KERNEL = "MINILM_ONNX_KERNEL"
NONE = "none"


@dataclass(frozen=True)
class Native:
    """A library that this CPU can run.

    Attributes:
        path: of the library.
        kernel: of those in it, the one that is used.
    """

    path: Path
    kernel: str


@functools.cache
def native() -> Native | None:
    """Find the library, whose kernels have given the same bits as plain C just now.

    Returns:
        None where this installation has none, or where MINILM_ONNX_KERNEL is "none".

    Raises:
        InputError: MINILM_ONNX_KERNEL names a kernel that is not in it, or that this CPU lacks.
        SessionError: the library does not load.
    """
    wanted = os.environ.get(KERNEL, "")
    path = next((FOLDER / name for name in NAMES if (FOLDER / name).exists()), None)
    if wanted == NONE or path is None:
        return None
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        raise SessionError(
            f"{path}: expected a library that loads, got: {error}; install again, or set "
            f"{KERNEL}={NONE}"
        ) from error
    library.minilm_kernel.restype = ctypes.c_char_p
    kernel = library.minilm_kernel()
    if kernel is None:
        raise InputError(
            f"{KERNEL}: expected {', '.join([*kernels(library), NONE])}, which this CPU has, got "
            f"{shown(wanted)}; unset it for the best"
        )
    return Native(path, kernel.decode())


def kernels(library: ctypes.CDLL) -> list[str]:
    """Give the names of the kernels that this CPU can run and that are right, best first."""
    library.minilm_kernel_name.restype = ctypes.c_char_p
    names = []
    for place in range(16):
        name = library.minilm_kernel_name(ctypes.c_size_t(place))
        if name is not None and library.minilm_kernel_is_right(ctypes.c_size_t(place)):
            names.append(name.decode())
    return names
