"""This project before it had operators of its own: commit 00173d6, on onnxruntime's alone."""

import sys
from pathlib import Path

from benchmarks import ROOT
from benchmarks.contenders import RUNTIME, Embed
from benchmarks.contenders.minilm_onnx import BATCHES, load_encoder, prepare

__all__ = ["BATCHES", "REQUIREMENTS", "load", "prepare"]

REQUIREMENTS = (*RUNTIME, "minilm-onnx @ git+file://.@00173d6")


def load(folder: Path, threads: int) -> Embed:
    """Make the encoder of the package that was installed, not of the working tree."""
    sys.path[:] = [path for path in sys.path if Path(path).resolve() != ROOT]
    return load_encoder(None, threads)
