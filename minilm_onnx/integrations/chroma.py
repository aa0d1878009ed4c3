"""Chroma's embedding function: `pip install 'minilm-onnx[chroma]'`.

Importing this file registers it, so that a persisted collection finds it again by its name.
https://docs.trychroma.com/docs/embeddings/embedding-functions
"""

from typing import Any

import numpy as np

from minilm_onnx.arrays import FloatArray
from minilm_onnx.errors import ArtifactError
from minilm_onnx.integrations import needing, shared_encoder

with needing("chroma"):
    from chromadb import Documents, EmbeddingFunction
    from chromadb.utils.embedding_functions import register_embedding_function


@register_embedding_function
class MiniLMEmbeddingFunction(EmbeddingFunction[Documents]):
    """Vectors for a collection; it remembers the encoder's fingerprint."""

    def __init__(self, *, model: str | None = None, threads: int | None = None) -> None:
        """Load the model; see `SentenceEncoder`."""
        self.model, self.threads = model, threads
        self.encoder = shared_encoder(model, threads)

    def __call__(self, input: Documents) -> list[FloatArray]:  # noqa: A002  # Chroma's name
        """Give (384,) float32 for each text."""
        return [np.asarray(row, dtype=np.float32) for row in self.encoder.encode(list(input))]

    @staticmethod
    def name() -> str:
        """Give the name that a collection keeps."""
        return "minilm_onnx"

    def default_space(self) -> str:
        """Vectors have length 1."""
        return "cosine"

    def supported_spaces(self) -> list[str]:
        """All of them."""
        return ["cosine", "l2", "ip"]

    def get_config(self) -> dict[str, Any]:
        """Give what a collection keeps of it; threads are each machine's own."""
        return {"model": self.model, "fingerprint": self.encoder.fingerprint}

    @staticmethod
    def build_from_config(config: dict[str, Any]) -> "MiniLMEmbeddingFunction":
        """Make it again.

        Raises:
            ArtifactError: the model there makes other vectors now.
        """
        made = MiniLMEmbeddingFunction(model=config.get("model"))
        expected, found = config.get("fingerprint"), made.encoder.fingerprint
        if expected is not None and expected != found:
            raise ArtifactError(
                f"collection: expected vectors of {expected}, got a model that makes those of "
                f"{found}; make the collection anew, or install the version that made it"
            )
        return made

    def validate_config_update(
        self, old_config: dict[str, Any], new_config: dict[str, Any]
    ) -> None:
        """Refuse another model for vectors that are there.

        Raises:
            ArtifactError: the fingerprints differ.
        """
        old, new = old_config.get("fingerprint"), new_config.get("fingerprint")
        if old is not None and old != new:
            raise ArtifactError(f"collection: expected vectors of {old}, got {new}")

    @staticmethod
    def validate_config(config: dict[str, Any]) -> None:
        """Accept what `get_config` gives."""
