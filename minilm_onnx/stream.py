"""Texts as they come: some are read ahead and embedded together, their vectors given one by one."""

from collections.abc import Iterator
from itertools import islice

from minilm_onnx.arguments import put_before
from minilm_onnx.arrays import Vector
from minilm_onnx.engine.embedder import Embedder
from minilm_onnx.text.overflow import Overflow
from minilm_onnx.text.reports import Tally
from minilm_onnx.vectors.quantization import truncate_embeddings

# Texts that are read ahead, sorted by length and run together.
STREAM_CHUNK = 2048


def stream(
    embedder: Embedder,
    texts: Iterator[str],
    prompt: str,
    max_seq_length: int,
    truncate_dim: int | None,
    overflow: Overflow,
    batch_size: int | None,
) -> Iterator[Vector]:
    """Embed texts in memory that does not grow with their number; see `encode_stream`."""
    tally = Tally()
    try:
        while chunk := put_before(prompt, list(islice(texts, STREAM_CHUNK))):
            rows, reports = embedder.embed(
                chunk, max_seq_length, overflow, batch_size, first=tally.texts
            )
            tally.add(reports)
            yield from rows if truncate_dim is None else truncate_embeddings(rows, truncate_dim)
    finally:
        tally.warn(max_seq_length, overflow)
