"""EmbedAnything, a Rust pipeline, with its ONNX backend on the hub's kind of int8 file.

It obeys the limit in tokenizer_config.json, 512 as published. Its threads cannot be set:
onnxruntime gets half as many as there are CPUs, so on two it computes on one; and as it holds the
GIL, a second model in a thread of Python's gains nothing. It wants onnxruntime 1.22.0, no other.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from benchmarks import convert
from benchmarks.contenders import Batch, Embed, longest_first

REQUIREMENTS = ("embed_anything==0.7.1", "numpy==2.4.6", "onnxruntime==1.22.0")
SETUP_REQUIREMENTS = convert.REQUIREMENTS
BATCHES = (1, 2, 4, 8)
# It loads from a cache of the hub only, and does not know HF_HUB_OFFLINE: for a branch it asks the
# network first, 10 seconds without one. For a whole commit's hash it takes what is there.
MODEL, COMMIT = "local/minilm", "0" * 40


def prepare(checkpoint: Path, folder: Path) -> None:
    """Fill a hub cache by hand: the quantised graph, and the limit in the tokenizer's files."""
    snapshot = folder / f"models--{MODEL.replace('/', '--')}" / "snapshots" / COMMIT
    convert.quantize_dynamic(checkpoint, snapshot)
    convert.copy_files(
        checkpoint, snapshot, ["config.json", "tokenizer.json", "tokenizer_config.json"]
    )
    convert.set_limit(snapshot)


def load(folder: Path, threads: int) -> Embed:
    """Load from the cache; its threads follow the CPUs it may use, which the worker has limited."""
    os.environ["HF_HUB_CACHE"] = str(folder)
    from embed_anything import EmbeddingModel, TextEmbedConfig, WhichModel

    model = EmbeddingModel.from_pretrained_onnx(
        WhichModel.Bert,
        hf_model_id=MODEL,
        revision=COMMIT,
        path_in_repo="model_quantized.onnx",
    )

    def embed(texts: Sequence[str], batch: Batch) -> list[list[float]]:
        order = longest_first(texts)
        found = model.embed_query([texts[i] for i in order], TextEmbedConfig(batch_size=batch))
        vectors: list[list[float]] = [[] for _ in texts]
        # Strict, since it leaves out what a failed batch would have given.
        for position, row in zip(order, found, strict=True):
            vectors[position] = row.embedding
        return vectors

    return embed
