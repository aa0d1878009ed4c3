"""candding, a Rust engine on candle, in fp32: it has no int8 on CPUs."""

from collections.abc import Sequence
from pathlib import Path

from benchmarks import convert
from benchmarks.contenders import MAX_TOKENS, Batch, Embed, FloatArray, embed_longest_first

REQUIREMENTS = ("candding==0.1.0", "numpy==2.4.6")
BATCHES = (1, 2, 4, 8)


def prepare(checkpoint: Path, folder: Path) -> None:
    """Copy the checkpoint."""
    convert.copy_files(checkpoint, folder, [*convert.CHECKPOINT_FILES, "model.safetensors"])


def load(folder: Path, threads: int) -> Embed:
    """Load the folder; its threads follow RAYON_NUM_THREADS, which the worker is given."""
    from candding import TextEmbedding

    model = TextEmbedding(str(folder), device="cpu", max_length=MAX_TOKENS)

    def embed(texts: Sequence[str], batch: Batch) -> FloatArray:
        return embed_longest_first(texts, lambda given: model.embed(given, batch_size=batch))

    return embed
