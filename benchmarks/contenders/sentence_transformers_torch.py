"""sentence-transformers on torch in fp32: what everyone is compared with."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import convert
from benchmarks.contenders import MAX_TOKENS, Batch, Embed, FloatArray

REQUIREMENTS = ("torch==2.13.0", "sentence-transformers==6.2.0")
BATCHES = (4, 8, 16, 32)


def prepare(checkpoint: Path, folder: Path) -> None:
    """Copy the checkpoint."""
    convert.copy_files(checkpoint, folder, [*convert.CHECKPOINT_FILES, "model.safetensors"])


def load(folder: Path, threads: int) -> Embed:
    """Load the checkpoint."""
    return load_backend(folder, threads)


def load_backend(
    folder: Path,
    threads: int,
    backend: str = "torch",
    options: dict[str, Any] | None = None,
    tokens: int = MAX_TOKENS,
    compiled: dict[str, Any] | None = None,
) -> Embed:
    """Load a folder with one of sentence-transformers' backends; options are the backend's.

    With `compiled` the model is compiled, with these arguments of torch.compile.
    """
    import torch
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(threads)
    model = SentenceTransformer(str(folder), device="cpu", backend=backend, model_kwargs=options)
    model.max_seq_length = tokens
    if compiled is not None:
        model.compile(**compiled)

    def embed(texts: Sequence[str], batch: Batch) -> FloatArray:
        found = model.encode(
            list(texts), batch_size=batch, show_progress_bar=False, normalize_embeddings=True
        )
        return np.asarray(found, dtype=np.float32)

    return embed
