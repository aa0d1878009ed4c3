"""llama.cpp, the engine under Ollama, in 16 bits: F16."""

from pathlib import Path

from benchmarks.contenders import Embed, llama_cpp_q8_0

REQUIREMENTS = llama_cpp_q8_0.REQUIREMENTS
SETUP_REQUIREMENTS = llama_cpp_q8_0.SETUP_REQUIREMENTS
BATCHES = llama_cpp_q8_0.BATCHES


def prepare(checkpoint: Path, folder: Path) -> None:
    """Convert."""
    llama_cpp_q8_0.write_gguf(checkpoint, folder, "f16")


def load(folder: Path, threads: int) -> Embed:
    """Load the file."""
    return llama_cpp_q8_0.load(folder, threads)
