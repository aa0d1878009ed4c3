"""KeyBERT's embedding backend: `pip install 'minilm-onnx[keybert]'`.

https://maartengr.github.io/KeyBERT/guides/embeddings.html#custom-backend
"""

from collections.abc import Sequence

from minilm_onnx.arrays import Matrix
from minilm_onnx.integrations import needing, shared_encoder

with needing("keybert"):
    from keybert.backend import BaseEmbedder


class MiniLMBackend(BaseEmbedder):
    """Vectors for keywords: `KeyBERT(model=MiniLMBackend())`."""

    def __init__(self, *, model: str | None = None, threads: int | None = None) -> None:
        """Load the model; see `SentenceEncoder`."""
        super().__init__()
        self.embedding_model = shared_encoder(model, threads)

    def embed(self, documents: Sequence[str], verbose: bool = False) -> Matrix:
        """Give (N, 384) float32 unit rows.

        Args:
            documents: N texts.
            verbose: whether to show a bar.
        """
        return self.embedding_model.encode(list(documents), show_progress_bar=verbose)
