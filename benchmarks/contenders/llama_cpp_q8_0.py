"""llama.cpp, the engine under Ollama, in 8 bits: Q8_0."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.contenders import MAX_TOKENS, Batch, Embed, FloatArray

ENGINE = "llama-cpp-python==0.3.36"
# There is no wheel: pip compiles it, for the instructions of this machine.
REQUIREMENTS = (ENGINE, "numpy==2.4.6")
SETUP_REQUIREMENTS = ("numpy==2.4.6", "pip==26.3", "torch==2.13.0", "transformers==4.57.6")
BATCHES = (1, 2, 4, 8)


def prepare(checkpoint: Path, folder: Path) -> None:
    """Convert."""
    write_gguf(checkpoint, folder, "q8_0")


def write_gguf(checkpoint: Path, folder: Path, precision: str) -> None:
    """Run llama.cpp's own converter, which is in the source that pip compiles."""
    with tempfile.TemporaryDirectory() as scratch:
        script = unpack_source(Path(scratch)) / "convert_hf_to_gguf.py"
        output = ["--outtype", precision, "--outfile", str(folder / "model.gguf")]
        subprocess.run([sys.executable, str(script), str(checkpoint), *output], check=True)


def unpack_source(folder: Path) -> Path:
    """Download the package's source, and give the folder of llama.cpp in it."""
    pip = [sys.executable, "-m", "pip", "download", "-qq", "--no-deps"]
    subprocess.run(
        [*pip, "--no-binary", "llama-cpp-python", "--dest", str(folder), ENGINE], check=True
    )
    (archive,) = folder.glob("*.tar.gz")
    shutil.unpack_archive(archive, folder, filter="data")
    (found,) = folder.glob("*/vendor/llama.cpp")
    return found


def load(folder: Path, threads: int) -> Embed:
    """Load the file, whose metadata ask for WordPiece and the mean.

    One context on all threads: one a thread is 0 to 5 % faster in bulk, and slower for a query.
    """
    from llama_cpp import Llama

    model = Llama(
        str(folder / "model.gguf"),
        embedding=True,
        n_ctx=MAX_TOKENS,
        n_batch=MAX_TOKENS,
        n_ubatch=MAX_TOKENS,
        n_threads=threads,
        n_threads_batch=threads,
        # llama.cpp itself would, the Python package does not: 1.3 to 1.6 times as fast.
        flash_attn=True,
        verbose=False,
    )
    whole = model.tokenize

    def cut(text: bytes) -> list[int]:
        ids: list[int] = whole(text)
        return ids if len(ids) <= MAX_TOKENS else [*ids[: MAX_TOKENS - 1], ids[-1]]

    # Its own cut at n_batch loses the [SEP].
    model.tokenize = cut

    def embed(texts: Sequence[str], batch: Batch) -> FloatArray:
        size = batch or 1
        found = [
            vector
            for first in range(0, len(texts), size)
            for vector in model.embed(list(texts[first : first + size]), normalize=True)
        ]
        return np.asarray(found, dtype=np.float32)

    return embed
