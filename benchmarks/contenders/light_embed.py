"""light-embed on the hub's kind of int8 file."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks import convert
from benchmarks.contenders import RUNTIME, Batch, Embed, FloatArray

REQUIREMENTS = ("light-embed==1.0.9", *RUNTIME)
SETUP_REQUIREMENTS = convert.REQUIREMENTS
BATCHES = (2, 4, 8, 16)


def prepare(checkpoint: Path, folder: Path) -> None:
    """Write the fp32 graph, quantise it, and put the limit of 256 in the tokenizer's files."""
    convert.quantize_dynamic(checkpoint, folder)
    convert.copy_files(checkpoint, folder)
    convert.set_limit(folder)


def load(folder: Path, threads: int) -> Embed:
    """Load the folder; its threads cannot be set: as many as the machine has cores."""
    from light_embed import TextEmbedding

    model = TextEmbedding(
        str(folder),
        device="cpu",
        model_config={
            "onnx_file": "model_quantized.onnx",
            "pooling_config_path": "1_Pooling",
            "normalize": True,
        },
    )

    def embed(texts: Sequence[str], batch: Batch) -> FloatArray:
        found = model.encode(list(texts), batch_size=batch)
        return np.asarray(found, dtype=np.float32)

    return embed
