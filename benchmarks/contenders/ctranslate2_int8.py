"""CTranslate2 in int8, driven directly: sorted batches, one worker a thread."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from benchmarks import convert
from benchmarks.contenders import MAX_TOKENS, Batch, Embed, FloatArray
from benchmarks.padding import budget_batches, masked_unit_mean, read_tokenizer

REQUIREMENTS = ("numpy==2.4.6", "ctranslate2==4.8.5", "tokenizers==0.23.3")
SETUP_REQUIREMENTS = convert.REQUIREMENTS
BATCHES = (128, 256, 512, 1024)


def prepare(checkpoint: Path, folder: Path) -> None:
    """Convert, as ct2-transformers-converter does."""
    from ctranslate2.converters import TransformersConverter

    TransformersConverter(str(checkpoint)).convert(str(folder / "model"), quantization="int8")
    convert.copy_files(checkpoint, folder, ["tokenizer.json"])


def load(folder: Path, threads: int) -> Embed:
    """Make an encoder of one-thread workers.

    Two threads on one batch are slower than one: 5.4 ms against 1.6 for a query, 6.2 against 4.9
    for a mixed text.
    """
    if "avx512vnni" in Path("/proc/cpuinfo").read_text().replace("_", ""):
        # It takes AVX2 on CPUs that are not Intel's; this is an eighth faster.
        os.environ.setdefault("CT2_FORCE_CPU_ISA", "AVX512")
    import ctranslate2

    tokenize = read_tokenizer(folder / "tokenizer.json")
    engine = ctranslate2.Encoder(
        str(folder / "model"),
        device="cpu",
        compute_type="int8",
        inter_threads=threads,
        intra_threads=1,
    )

    def embed(texts: Sequence[str], batch: Batch) -> FloatArray:
        ids = tokenize(texts)
        batches = budget_batches([len(row) for row in ids], batch or MAX_TOKENS)
        vectors: FloatArray = np.empty((len(texts), 384), dtype=np.float32)

        def work(positions: list[int]) -> None:
            rows = [ids[i] for i in positions]
            hidden = np.asarray(engine.forward_batch(rows).last_hidden_state)
            vectors[positions] = masked_unit_mean(hidden, [len(row) for row in rows])

        if len(batches) == 1:
            work(batches[0])
            return vectors
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(work, batches))
        return vectors

    return embed
