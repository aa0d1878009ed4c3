"""The types that a user's program may rely on: program.py, which mypy reads with the rest."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from minilm_onnx import SentenceEncoder

ROOT = Path(__file__).parents[2]


def test_the_program_runs(encoder: SentenceEncoder, tmp_path: Path) -> None:
    pytest.importorskip("apsw", reason="minilm-onnx[search] is not installed")
    from tests.typing.program import run

    run(encoder, tmp_path)


@pytest.mark.skipif(find_spec("basedpyright") is None, reason="basedpyright is not installed")
def test_pyright_accepts_and_refuses_what_mypy_does() -> None:
    if not (ROOT / "minilm_onnx").exists():
        pytest.skip("not a checkout")
    command = [sys.executable, "-m", "basedpyright", "--pythonpath", sys.executable]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
