"""LangChain's embeddings interface: `pip install '.[langchain]'`.

https://docs.langchain.com/oss/python/integrations/text_embedding
"""

from pathlib import Path

from minilm_onnx.integrations import needing, shared_encoder

with needing("langchain"):
    from langchain_core.embeddings import Embeddings


class MiniLMEmbeddings(Embeddings):
    """Vectors for LangChain's vector stores and retrievers."""

    def __init__(self, *, model: str | Path | None = None, threads: int | None = None) -> None:
        """Load the model; see `SentenceEncoder`."""
        self.encoder = shared_encoder(model, threads)

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Return a unit vector of 384 floats for each text."""
        found: list[list[float]] = self.encoder.encode_document(
            texts, normalize_embeddings=True
        ).tolist()
        return found

    def embed_query(self, text: str) -> list[float]:
        """Return the unit vector of a question."""
        found: list[float] = self.encoder.encode_query(text, normalize_embeddings=True).tolist()
        return found

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        """Like `embed_documents`, without blocking the event loop."""
        found: list[list[float]] = (
            await self.encoder.aencode_document(texts, normalize_embeddings=True)
        ).tolist()
        return found

    async def aembed_query(self, text: str) -> list[float]:
        """Like `embed_query`, without blocking the event loop."""
        found: list[float] = (
            await self.encoder.aencode_query(text, normalize_embeddings=True)
        ).tolist()
        return found
