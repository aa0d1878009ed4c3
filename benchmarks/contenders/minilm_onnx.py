"""This project: the bundled int8 model, from the working tree."""

from collections.abc import Sequence
from pathlib import Path

from benchmarks.contenders import RUNTIME, Batch, Embed, FloatArray

REQUIREMENTS = (*RUNTIME, ".")
BATCHES = (None,)


def prepare(checkpoint: Path, folder: Path) -> None:
    """Nothing to do: the model is in the package."""


def load(folder: Path, threads: int) -> Embed:
    """Make the encoder."""
    return load_encoder(None, threads)


def load_encoder(folder: Path | None, threads: int) -> Embed:
    """Make an encoder of a model folder, None for the bundled one."""
    from minilm_onnx import SentenceEncoder

    encoder = SentenceEncoder(folder, threads=threads)

    def embed(texts: Sequence[str], batch: Batch) -> FloatArray:
        return encoder.encode(texts, batch_size=batch)

    return embed
