"""The library of native operators, where this installation has one; see docs/operators.md."""

import ctypes
import functools
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from minilm_onnx.errors import InputError, SessionError, shown
from minilm_onnx.folder.operators import consists_of

FOLDER = Path(__file__).parents[1] / "native"
# By system: two may share a tree, as a container and its host do. Others name it as Linux does.
NAMES = {"linux": "minilm.so", "darwin": "minilm.dylib", "win32": "minilm.dll"}
# Written by the build that could not compile the library: why, in one line.
LEFT_OUT = "left-out.txt"
# Of the environment: the kernel to use in place of the best one, or NONE to do without the library.
KERNEL = "MINILM_ONNX_KERNEL"
NONE = "none"
# The kernel that runs everywhere, too slowly to be used unless it is asked for.
PLAIN = "plain"
DOMAIN, KINDS = "minilm", ("Embeddings", "SelfAttention", "FeedForward")
# What gives the bits; the number counts versions of the arithmetic that were released.
RUNTIME = "minilm operators 1"
# What kernels of that version give in their own test, as kernels/self_test.c has it.
BITS = 0x693E9074E4B09ED3
MOST_KERNELS = 16


@dataclass(frozen=True)
class Native:
    """A library that is loaded.

    Attributes:
        path: of the library.
        kernel: of those in it, the one that is used; it has given the right bits just now.
    """

    path: Path
    kernel: str


@dataclass(frozen=True)
class Kernel:
    """One of the kernels in a library.

    Attributes:
        name: what MINILM_ONNX_KERNEL calls it.
        runs: whether this CPU has its instructions.
        right: whether it gives the bits that every kernel gives on every CPU; else it is not used.
            None where it does not run, so that nobody knows.
    """

    name: str
    runs: bool
    right: bool | None


def native_for(graph: Path) -> Native | None:
    """Load the library for a graph; None where the graph has other operators, or no_native says.

    Raises:
        ArtifactError: there is no such graph.
        InputError, SessionError: see `native`.
    """
    return native() if consists_of(graph, DOMAIN, KINDS) else None


def no_native(graph: Path) -> str:
    """Say why `native_for` gives nothing for a graph."""
    if not consists_of(graph, DOMAIN, KINDS):
        return "the graph has no native operators"
    return why_no_library()


def why_no_library() -> str:
    """Say why `native` gives nothing."""
    if os.environ.get(KERNEL) == NONE:
        return f"{KERNEL} is {NONE}"
    if find_library() is None:
        note = FOLDER / LEFT_OUT
        cause = f", since {note.read_text('utf-8').strip()}" if note.exists() else ""
        return (
            f"this installation has no native library{cause}; install the package again from its "
            "sources, with a C compiler or ziglang at hand and MINILM_ONNX_BUILD unset"
        )
    return (
        f"this CPU has the instructions of no native kernel but {PLAIN} C's, which is far slower "
        f"than onnxruntime; {KERNEL}={PLAIN} takes it all the same"
    )


@functools.cache
def native() -> Native | None:
    """Load the library, whose kernel then gives made-up rows the same bits as on every CPU.

    Takes 0.4 ms, or 1.5 with the kernel in plain C, the first time; nothing after that.

    Returns:
        None where this installation has none, where MINILM_ONNX_KERNEL is "none", and where this
        CPU could run plain C alone, unless MINILM_ONNX_KERNEL asks for it.

    Raises:
        InputError: MINILM_ONNX_KERNEL names a kernel that cannot be had.
        SessionError: the library does not load, or none of its kernels is right.
    """
    wanted, path = os.environ.get(KERNEL, ""), find_library()
    if wanted == NONE or (path is None and not wanted):
        return None
    if path is None:
        raise InputError(
            f"{KERNEL}: expected {NONE}, since this installation has no native library, got "
            f"{shown(wanted)}; unset it"
        )
    name = load(path).minilm_kernel()
    if name is not None:
        return Native(path, name.decode()) if wanted or name.decode() != PLAIN else None
    usable = [kernel.name for kernel in kernels(path) if kernel.right]
    if wanted and usable:
        raise InputError(
            f"{KERNEL}: expected {', '.join(usable)}, which this CPU can run, or {NONE}, got "
            f"{shown(wanted)}; unset it for the best"
        )
    raise SessionError(
        f"{path}: expected a kernel that computes the right bits, got none; install again, "
        f"or set {KERNEL}={NONE}, and report it"
    )


def find_library() -> Path | None:
    """Give where the library is; None where this installation has none."""
    path = FOLDER / NAMES.get(sys.platform, NAMES["linux"])
    return path if path.exists() else None


def load(path: Path) -> ctypes.CDLL:
    """Load a library, once a process, and declare what it offers.

    Raises:
        SessionError: it does not load, is another one, or was compiled from other sources, whose
            arithmetic is not that of RUNTIME.
    """
    try:
        library = ctypes.CDLL(str(path))
        for function in (library.minilm_kernel, library.minilm_kernel_name):
            function.restype = ctypes.c_char_p
        for function in (
            library.minilm_kernel_name,
            library.minilm_kernel_runs,
            library.minilm_kernel_is_right,
        ):
            function.argtypes = [ctypes.c_size_t]
        library.minilm_bits.restype = ctypes.c_uint64
        library.minilm_multiply.restype = ctypes.c_size_t
        library.minilm_multiply.argtypes = [ctypes.c_size_t]
        library.minilm_run_alone.argtypes = [ctypes.c_int]
        library.minilm_run_alone.restype = None
    except (OSError, AttributeError) as error:
        # What the system says where it has no memory, and where it runs nothing from that disk.
        short = "failed to map" in str(error)
        remedy = (
            "free some memory, or allow programs on its disk (noexec)" if short else "install again"
        )
        raise SessionError(
            f"{path}: expected the library of native operators, got: {error}; {remedy}, or set "
            f"{KERNEL}={NONE} to do without"
        ) from error
    if library.minilm_bits() != BITS:
        raise SessionError(
            f"{path}: expected {RUNTIME}, got a library with other arithmetic, from an earlier or "
            f"later version; install again, or set {KERNEL}={NONE} to do without"
        )
    return library


@contextmanager
def running_alone(library: Native | None) -> Iterator[None]:
    """Have native operators that the calling thread runs keep to it, whatever their session has.

    Args:
        library: None for a graph of other operators, which is left as it is.
    """
    if library is None:
        yield
        return
    run_alone = _run_alone(library.path)
    try:
        run_alone(1)  # inside, since an interrupt may come right after it
        yield
    finally:
        run_alone(0)


@functools.cache
def _run_alone(path: Path) -> Callable[[int], None]:
    function: Callable[[int], None] = load(path).minilm_run_alone
    return function


def kernels(path: Path) -> list[Kernel]:
    """Give the kernels of a library, best first, each tested where this CPU can run it.

    Raises:
        SessionError: see `load`.
    """
    library, found = load(path), []
    for place in range(MOST_KERNELS):
        name = library.minilm_kernel_name(place)
        if name is not None:
            runs = bool(library.minilm_kernel_runs(place))
            right = bool(library.minilm_kernel_is_right(place)) if runs else None
            found.append(Kernel(name.decode(), runs, right))
    return found
