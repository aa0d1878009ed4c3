"""minilm-onnx, run in this process."""

from pathlib import Path

import pytest

from minilm_onnx.cli import main


def run(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    """Give the exit code, and what came on stdout and stderr."""
    code = main([str(argument) for argument in arguments])
    said = capsys.readouterr()
    return code, said.out, said.err
