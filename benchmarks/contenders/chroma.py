"""Chroma's default embedding function, in fp32: it pads every text to 256 tokens.

Kept and called as a user would who knows that DefaultEmbeddingFunction, which wraps it, loads the
model anew at every call: 160 ms for a query.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks import convert
from benchmarks.contenders import RUNTIME, Batch, Embed, FloatArray

REQUIREMENTS = ("chromadb==1.5.9", *RUNTIME)
SETUP_REQUIREMENTS = convert.REQUIREMENTS
# It runs 32 texts at a time and cannot be told otherwise; shorter lists gain nothing.
BATCHES = (None,)


def prepare(checkpoint: Path, folder: Path) -> None:
    """Fill by hand the folder that it would extract from its download."""
    with convert.standard_folder(checkpoint) as standard:
        convert.copy_files(standard, folder / "onnx", ["model.onnx"])
    convert.copy_files(checkpoint, folder / "onnx")


def load(folder: Path, threads: int) -> Embed:
    """Point it at the folder, instead of at its cache in the home, and have it load.

    It sets the limit of 256 itself. Its threads cannot be set: it leaves them to onnxruntime, which
    then starts one a core of the machine and pins it there, whatever CPUs the worker may use. So
    it keeps to `threads` only where these are all cores.
    """
    from chromadb.utils.embedding_functions import ONNXMiniLM_L6_V2

    function = ONNXMiniLM_L6_V2(preferred_providers=["CPUExecutionProvider"])
    function.DOWNLOAD_PATH = folder
    # It loads when it is first called.
    function(["a text"])

    def embed(texts: Sequence[str], batch: Batch) -> FloatArray:
        return np.asarray(function(list(texts)), dtype=np.float32)

    return embed
