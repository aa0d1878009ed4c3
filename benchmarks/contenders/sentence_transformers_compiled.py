"""sentence-transformers on torch in fp32, with `model.compile()`; torch needs a C++ compiler here.

torch 2.15.0 is newer, but PyPI has it for Linux on x86-64 only with several GB of CUDA.
"""

from pathlib import Path

from benchmarks.contenders import Embed, sentence_transformers_torch

REQUIREMENTS = sentence_transformers_torch.REQUIREMENTS
BATCHES = sentence_transformers_torch.BATCHES

prepare = sentence_transformers_torch.prepare

# As its documentation advises for texts of different lengths: one kernel for all of them.
COMPILED = {"dynamic": True}


def load(folder: Path, threads: int) -> Embed:
    """Load the checkpoint; it compiles at the first text, and again at the first batch."""
    return sentence_transformers_torch.load_backend(folder, threads, compiled=COMPILED)
