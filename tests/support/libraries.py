"""The library of native operators, compiled for a test, and a copy of the package that has it."""

import importlib.util
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from shutil import copy, copytree, ignore_patterns

import pytest

ROOT = Path(__file__).parents[2]
# What is compiled for a Raspberry Pi runs on each Linux that onnxruntime has wheels for.
ARM = "aarch64-linux-gnu.2.17"


def compiled(folder: Path, *flags: str, command: Sequence[str] = (), machine: str = "") -> Path:
    """Compile the library; skip where that cannot be.

    Args:
        folder: where it is written.
        flags: further ones of the compiler.
        command: the compiler; empty for the system's.
        machine: with Linux, what it compiles for; empty for this machine and system.
    """
    if sys.platform not in ("linux", "darwin"):
        pytest.skip("kernels/ is compiled on Linux and macOS")
    build = pytest.importorskip("kernels.build", reason="not a checkout")
    compiler = command or build.compiler()
    if compiler is None:
        pytest.skip("no C compiler is installed")
    path = folder / ("minilm.so" if machine else build.name_here())
    try:
        build.build(path, compiler, flags, machine or build.machine_here())
    except subprocess.CalledProcessError as error:
        pytest.fail(f"the compiler says no: {error}")
    return path


def compiled_for_arm(folder: Path) -> Path:
    """Compile the library for aarch64 by zig; skip where that is not installed."""
    if importlib.util.find_spec("ziglang") is None:
        pytest.skip("ziglang, which compiles for aarch64, is not installed")
    command = [sys.executable, "-m", "ziglang", "cc", "-target", ARM]
    return compiled(folder, command=command, machine="aarch64")


def package_with(library: Path, folder: Path) -> Path:
    """Copy the package and its tests, with another library than this installation's.

    Returns:
        The folder, to be put on PYTHONPATH.
    """
    unneeded = ignore_patterns("__pycache__", "native")
    for name in ("minilm_onnx", "tests"):
        copytree(ROOT / name, folder / name, ignore=unneeded)
    copy(ROOT / "pyproject.toml", folder)
    (folder / "minilm_onnx" / "native").mkdir()
    copy(library, folder / "minilm_onnx" / "native")
    return folder
