"""LanceDB's embedding function: `pip install 'minilm-onnx[lancedb]'`.

Importing this file registers it as "minilm-onnx", by which a table finds it again.
https://lancedb.github.io/lancedb/embeddings/
"""

from collections.abc import Sequence

from minilm_onnx.arrays import Matrix
from minilm_onnx.encoder import SentenceEncoder
from minilm_onnx.integrations import needing, shared_encoder

with needing("lancedb"):
    from lancedb.embeddings import TextEmbeddingFunction, register


@register("minilm-onnx")
class MiniLMFunction(TextEmbeddingFunction):
    """Vectors for a table: `get_registry().get("minilm-onnx").create()`."""

    model: str | None = None
    threads: int | None = None

    def ndims(self) -> int:
        """Give the components of a vector."""
        return self._encoder.dimension

    def generate_embeddings(self, texts: Sequence[str]) -> Matrix:
        """Give (N, 384) float32 unit rows."""
        return self._encoder.encode(list(texts))

    @property
    def _encoder(self) -> SentenceEncoder:
        return shared_encoder(self.model, self.threads)
