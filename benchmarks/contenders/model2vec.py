"""model2vec: a vector for every token of the vocabulary, and their weighted mean.

It is made from the checkpoint with model2vec's default settings. No layers are left, so it is
another model of 256 dimensions: word order and context have no influence. By the measures of
benchmarks.quality it has 66.1 on STS-B, 74.0 on STS13, 74.8 on STS15 and 41.9 on SciFact, where the
int8 model of this project has 82.0, 80.6, 85.4 and 64.6.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.contenders import MAX_TOKENS, Batch, Embed, FloatArray

REQUIREMENTS = ("model2vec==0.10.0", "numpy==2.4.6", "tokenizers==0.23.3")
SETUP_REQUIREMENTS = (
    "torch==2.13.0",
    # Distilling imports scikit-learn, which the extra "quantization" brings.
    "model2vec[distill,quantization]==0.10.0",
    "numpy==2.4.6",
    "tokenizers==0.22.2",
    "transformers==5.3.0",
)
BATCHES = (64, 256, 1024)
SAME_MODEL = False
SPECIAL_TOKENS = 2


def prepare(checkpoint: Path, folder: Path) -> None:
    """Distill."""
    from model2vec.distill import distill

    distill(str(checkpoint), device="cpu").save_pretrained(folder)


def load(folder: Path, threads: int) -> Embed:
    """Load the folder; its tokenizer's threads follow RAYON_NUM_THREADS."""
    from model2vec import StaticModel

    model = StaticModel.from_pretrained(folder)

    def embed(texts: Sequence[str], batch: Batch) -> FloatArray:
        found = model.encode(
            list(texts),
            batch_size=batch,
            # It adds no special tokens.
            max_length=MAX_TOKENS - SPECIAL_TOKENS,
            use_multiprocessing=False,
        )
        # It computes in the float16 that it keeps.
        return np.asarray(found, dtype=np.float32)

    return embed
