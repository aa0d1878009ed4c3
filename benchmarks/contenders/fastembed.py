"""fastembed in fp32, on the standard graph: what it downloads for this model is fp32 too."""

from collections.abc import Sequence
from pathlib import Path

from benchmarks import convert
from benchmarks.contenders import RUNTIME, Batch, Embed, FloatArray, embed_longest_first

REQUIREMENTS = ("fastembed==0.9.1", *RUNTIME)
SETUP_REQUIREMENTS = convert.REQUIREMENTS
# Its default of 256 texts takes twice the time and 2 GiB, sorted as they are here.
BATCHES = (1, 2, 4, 8)


def prepare(checkpoint: Path, folder: Path) -> None:
    """Write the fp32 graph, and put the limit of 256 in the tokenizer's files."""
    with convert.standard_folder(checkpoint) as standard:
        convert.copy_files(standard, folder, ["model.onnx"])
    convert.copy_files(checkpoint, folder)
    convert.set_limit(folder)


def load(folder: Path, threads: int) -> Embed:
    """Load the folder instead of what it would download."""
    from fastembed import TextEmbedding

    model = TextEmbedding(
        "sentence-transformers/all-MiniLM-L6-v2",
        threads=threads,
        providers=["CPUExecutionProvider"],
        specific_model_path=str(folder),
    )

    def embed(texts: Sequence[str], batch: Batch) -> FloatArray:
        return embed_longest_first(
            texts, lambda given: list(model.embed(given, batch_size=batch or 1))
        )

    return embed
