"""This project with its lean fp32 graph, written by `python -m export --precision fp32`."""

from pathlib import Path

from benchmarks import convert
from benchmarks.contenders import Embed, minilm_onnx

REQUIREMENTS = minilm_onnx.REQUIREMENTS
SETUP_REQUIREMENTS = convert.REQUIREMENTS
BATCHES = (None,)


def prepare(checkpoint: Path, folder: Path) -> None:
    """Export."""
    from export.steps import export
    from minilm_onnx.making.checkpoint import find_checkpoint

    export(find_checkpoint(str(checkpoint)), folder / "fp32", "fp32")


def load(folder: Path, threads: int) -> Embed:
    """Make the encoder."""
    return minilm_onnx.load_encoder(folder / "fp32", threads)
