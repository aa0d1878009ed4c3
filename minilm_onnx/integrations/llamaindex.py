"""LlamaIndex's embedding interface: `pip install '.[llamaindex]'`.

https://developers.llamaindex.ai/python/framework/module_guides/models/embeddings/
"""

from pathlib import Path
from typing import Any

from minilm_onnx.encoder import SentenceEncoder
from minilm_onnx.integrations import needing, shared_encoder

with needing("llamaindex"):
    from llama_index.core.base.embeddings.base import BaseEmbedding
    from llama_index.core.bridge.pydantic import Field

MODEL_NAME = "all-MiniLM-L6-v2"
# The most that LlamaIndex allows: what is handed over together is batched by length here, and its
# own default of 10 leaves little to batch.
BATCH = 2048


class MiniLMEmbedding(BaseEmbedding):
    """Vectors for LlamaIndex: `Settings.embed_model = MiniLMEmbedding()`."""

    model: str | None = Field(default=None, description="A model folder; None for the bundled one.")
    threads: int | None = Field(default=None, description="None for all CPUs.")

    def __init__(
        self, *, model: str | Path | None = None, threads: int | None = None, **given: Any
    ) -> None:
        """Load the model.

        Args:
            model: see `SentenceEncoder`.
            threads: see `SentenceEncoder`.
            given: arguments of LlamaIndex's own, such as embed_batch_size and callback_manager.
        """
        given = {"model_name": MODEL_NAME, "embed_batch_size": BATCH} | given
        folder = None if model is None else str(model)
        super().__init__(model=folder, threads=threads, **given)
        shared_encoder(model, threads)  # what is wrong with it is said here

    @classmethod
    def class_name(cls) -> str:
        """Return the class name that LlamaIndex saves."""
        return "MiniLMEmbedding"

    @property
    def _encoder(self) -> SentenceEncoder:
        return shared_encoder(self.model, self.threads)

    def _get_query_embedding(self, query: str) -> list[float]:
        found: list[float] = self._encoder.encode_query(query, normalize_embeddings=True).tolist()
        return found

    def _get_text_embedding(self, text: str) -> list[float]:
        found: list[float] = self._encoder.encode_document(text, normalize_embeddings=True).tolist()
        return found

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        found: list[list[float]] = self._encoder.encode_document(
            texts, normalize_embeddings=True
        ).tolist()
        return found

    async def _aget_query_embedding(self, query: str) -> list[float]:
        found: list[float] = (
            await self._encoder.aencode_query(query, normalize_embeddings=True)
        ).tolist()
        return found

    async def _aget_text_embedding(self, text: str) -> list[float]:
        found: list[float] = (
            await self._encoder.aencode_document(text, normalize_embeddings=True)
        ).tolist()
        return found

    async def _aget_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        found: list[list[float]] = (
            await self._encoder.aencode_document(texts, normalize_embeddings=True)
        ).tolist()
        return found
