"""Commands of a clone, where what they need is not installed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# A module that cannot be imported, and then one that runs as a program.
RUN = "import runpy, sys; sys.modules[{!r}] = None; runpy.run_module({!r}, {{}}, '__main__')"


@pytest.mark.parametrize(
    ("without", "module", "arguments", "words"),
    [
        ("export.steps", "export", ["--out", "out"], "the packages of export/requirements.txt"),
        ("sklearn", "benchmarks.quality", ["--data", "."], "scipy and scikit-learn"),
    ],
)
def test_what_is_not_installed_is_said_in_a_line(
    tmp_path: Path, without: str, module: str, arguments: list[str], words: str
) -> None:
    """And --help needs none of it."""
    for given, code in ((["--help"], 0), (arguments, 2)):
        done = subprocess.run(
            [sys.executable, "-c", RUN.format(without, module), *given],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
            capture_output=True,
            text=True,
        )
        assert done.returncode == code, done.stderr
        assert done.stderr.count("\n") == (1 if code else 0), done.stderr
        assert not code or words in done.stderr
