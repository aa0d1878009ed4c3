"""kjarni, a Rust engine in fp32."""

from collections.abc import Sequence
from pathlib import Path

from benchmarks import convert
from benchmarks.contenders import Batch, Embed, longest_first

REQUIREMENTS = ("kjarni==0.2.5", "numpy==2.4.6")
BATCHES = (1, 4, 8, 16)
# Where its cache keeps this model.
MODEL = "sentence-transformers_all-MiniLM-L6-v2"


def prepare(checkpoint: Path, folder: Path) -> None:
    """Fill its cache folder by hand."""
    # Whatever is missing it tries to download for 20 seconds at every start.
    files = [*convert.CHECKPOINT_FILES, "model.safetensors"]
    convert.copy_files(checkpoint, folder / MODEL, files)
    convert.set_limit(folder / MODEL)


def load(folder: Path, threads: int) -> Embed:
    """Load from the cache; its threads follow RAYON_NUM_THREADS, which the worker is given."""
    from kjarni import Embedder

    model = Embedder("minilm-l6-v2", device="cpu", cache_dir=str(folder), quiet=True)

    def embed(texts: Sequence[str], batch: Batch) -> list[list[float]]:
        size = batch or 1
        order = longest_first(texts)
        vectors: list[list[float]] = [[] for _ in texts]
        for first in range(0, len(order), size):
            positions = order[first : first + size]
            found = model.encode_batch([texts[i] for i in positions])
            for position, vector in zip(positions, found, strict=True):
                vectors[position] = vector
        return vectors

    return embed
