"""OpenVINO GenAI's TextEmbeddingPipeline on the graph of openvino_int8, int8 by NNCF.

It tokenizes in a graph of its own, and pools in the model's.
"""

from collections.abc import Sequence
from pathlib import Path

from benchmarks import convert
from benchmarks.contenders import MAX_TOKENS, Batch, Embed, FloatArray, embed_longest_first
from benchmarks.contenders.openvino_int8 import quantize_static

REQUIREMENTS = (
    "openvino-genai==2026.4.1.0",
    "openvino-tokenizers==2026.4.1.0",
    "openvino==2026.4.1",
    "numpy==2.4.6",
)
SETUP_REQUIREMENTS = convert.REQUIREMENTS
BATCHES = (4, 8, 16, 32)


def prepare(checkpoint: Path, folder: Path) -> None:
    """Quantise the fp32 graph, and convert the tokenizer to a graph."""
    import openvino
    from openvino_tokenizers import convert_tokenizer
    from transformers import AutoTokenizer

    tokenizer = convert_tokenizer(AutoTokenizer.from_pretrained(checkpoint), max_length=MAX_TOKENS)
    openvino.save_model(tokenizer, folder / "openvino_tokenizer.xml")
    with quantize_static(checkpoint) as model:
        openvino.save_model(model, folder / "openvino_model.xml", compress_to_fp16=False)
    convert.copy_files(checkpoint, folder, ["config.json"])


def load(folder: Path, threads: int) -> Embed:
    """Compile."""
    from openvino_genai import TextEmbeddingPipeline

    config = TextEmbeddingPipeline.Config(
        max_length=MAX_TOKENS, pooling_type=TextEmbeddingPipeline.PoolingType.MEAN, normalize=True
    )
    model = TextEmbeddingPipeline(str(folder), "CPU", config, INFERENCE_NUM_THREADS=threads)

    def embed(texts: Sequence[str], batch: Batch) -> FloatArray:
        size = batch or 1

        def in_batches(given: list[str]) -> list[list[float]]:
            parts = (given[first : first + size] for first in range(0, len(given), size))
            # A call is a batch.
            return [vector for part in parts for vector in model.embed_documents(part)]

        return embed_longest_first(texts, in_batches)

    return embed
