"""sentence-transformers with `model.compile()` on zentorch, AMD's backend for torch, in fp32.

Each zentorch fits one torch: 2.14.0.1 is newer, and fits 2.14.0, which PyPI has for Linux on
x86-64 only with several GB of CUDA.
"""

from pathlib import Path

from benchmarks.contenders import Embed, sentence_transformers_compiled
from benchmarks.contenders.sentence_transformers_torch import load_backend

REQUIREMENTS = (*sentence_transformers_compiled.REQUIREMENTS, "zentorch==2.13.0.2")
BATCHES = sentence_transformers_compiled.BATCHES

prepare = sentence_transformers_compiled.prepare


def load(folder: Path, threads: int) -> Embed:
    """Load the checkpoint, and have weights packed ahead, as zentorch advises."""
    import torch._inductor.config
    import zentorch  # noqa: F401  registers the backend

    torch._inductor.config.freezing = True
    compiled = {**sentence_transformers_compiled.COMPILED, "backend": "zentorch"}
    return load_backend(folder, threads, compiled=compiled)
