"""sentence-transformers on torch in bf16, with `model.compile()`, for CPUs with AVX512-BF16."""

from pathlib import Path

from benchmarks.contenders import Embed, sentence_transformers_compiled
from benchmarks.contenders.sentence_transformers_torch import load_backend

REQUIREMENTS = sentence_transformers_compiled.REQUIREMENTS
BATCHES = sentence_transformers_compiled.BATCHES

prepare = sentence_transformers_compiled.prepare


def load(folder: Path, threads: int) -> Embed:
    """Load the checkpoint in bf16; the mean is summed in float32, and rounded to bf16.

    Raises:
        RuntimeError: the CPU has no such instructions.
    """
    import torch

    if "avx512_bf16" not in Path("/proc/cpuinfo").read_text():
        raise RuntimeError("bf16: expected a CPU with avx512_bf16, got one without")
    options = {"dtype": torch.bfloat16}
    compiled = sentence_transformers_compiled.COMPILED
    return load_backend(folder, threads, options=options, compiled=compiled)
