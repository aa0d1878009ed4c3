"""libembedding-ng, a C engine with onnxruntime 1.20.1 inside, on the hub's kind of int8 file.

Its own tokenizer reads most scripts but Latin otherwise, and some signs beside a figure: 14 of the
220 texts that are compared have a cosine below 0.9, the least 0.2.
"""

from collections.abc import Sequence
from pathlib import Path

from benchmarks import convert
from benchmarks.contenders import MAX_TOKENS, Batch, Embed, FloatArray, embed_longest_first

REQUIREMENTS = ("libembedding-ng==1.11.0", "numpy==2.4.6")
SETUP_REQUIREMENTS = convert.REQUIREMENTS
BATCHES = (1, 2, 4, 8)


def prepare(checkpoint: Path, folder: Path) -> None:
    """Quantise to the file name that it looks for, and set the limit of 256 tokens."""
    convert.quantize_dynamic(checkpoint, folder)
    (folder / "model_quantized.onnx").rename(folder / "model.onnx")
    convert.copy_files(checkpoint, folder)
    # It ignores its own max_length, and the limits of the tokenizer's files.
    convert.edit(folder / "config.json", max_position_embeddings=MAX_TOKENS)


def load(folder: Path, threads: int) -> Embed:
    """Load the folder; it normalises by default."""
    from libembedding import TextEmbedding

    model = TextEmbedding(str(folder), threads=threads, pooling="mean", offline=True)

    def embed(texts: Sequence[str], batch: Batch) -> FloatArray:
        return embed_longest_first(texts, lambda given: model.embed(given, batch_size=batch))

    return embed
