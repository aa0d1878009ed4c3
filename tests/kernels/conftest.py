"""The library of native operators, built once by this machine's C compiler."""

import subprocess
import sys
from pathlib import Path

import pytest


def compiled(folder: Path, *flags: str) -> Path:
    """Compile the library; skip where that cannot be."""
    if sys.platform not in ("linux", "darwin"):
        pytest.skip("kernels/ is compiled on Linux and macOS")
    build = pytest.importorskip("kernels.build", reason="not a checkout")
    compiler = build.compiler()
    if compiler is None:
        pytest.skip("no C compiler is installed")
    path = folder / "minilm.so"
    try:
        build.build(path, compiler, ("-Wall", "-Wextra", *flags))
    except subprocess.CalledProcessError as error:
        pytest.fail(f"the compiler says no: {error}")
    return path


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled(tmp_path_factory.mktemp("native"))


@pytest.fixture(scope="session")
def library_as_evex(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, whose kernel for AVX-VNNI is encoded as CPUs with AVX-512 want it."""
    return compiled(tmp_path_factory.mktemp("evex"), "-DAVXVNNI_AS_EVEX")
