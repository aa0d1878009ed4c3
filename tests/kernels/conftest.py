"""The library of native operators, built once by this machine's C compiler."""

from pathlib import Path

import pytest

from tests.support.libraries import compiled

WARNINGS = ("-Wall", "-Wextra")


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled(tmp_path_factory.mktemp("native"), *WARNINGS)


@pytest.fixture(scope="session")
def library_as_evex(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, whose kernel for AVX-VNNI is encoded as CPUs with AVX-512 want it."""
    return compiled(tmp_path_factory.mktemp("evex"), *WARNINGS, "-DAVXVNNI_AS_EVEX")
