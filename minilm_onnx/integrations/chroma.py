"""Chroma's embedding function: `pip install '.[chroma]'`.

Importing this file registers it, so that a persisted collection finds it again by its name.
https://docs.trychroma.com/docs/embeddings/embedding-functions
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from minilm_onnx.arrays import FloatArray
from minilm_onnx.errors import ArtifactError
from minilm_onnx.integrations import absolute, as_list, needing, shared_encoder

with needing("chroma"):
    from chromadb import Documents, EmbeddingFunction
    from chromadb.utils.embedding_functions import register_embedding_function

if TYPE_CHECKING:
    from chromadb import Collection


@register_embedding_function
class MiniLMEmbeddingFunction(EmbeddingFunction[Documents]):
    """Vectors for a collection; it remembers the encoder's fingerprint."""

    def __init__(self, *, model: str | Path | None = None, threads: int | None = None) -> None:
        """Load the model; see `SentenceEncoder`."""
        self.model, self.threads = absolute(model), threads
        self.encoder = shared_encoder(model, threads)

    def __call__(self, input: Documents) -> list[FloatArray]:  # noqa: A002  # Chroma's name
        """Give (384,) float32 of length 1 for each text.

        Raises:
            InputError: input is a str, or one of the texts is none.
        """
        return list(
            self.encoder.encode_document(as_list("input", input), normalize_embeddings=True)
        )

    def embed_query(self, input: Documents) -> list[FloatArray]:  # noqa: A002  # Chroma's name
        """Give (384,) float32 of length 1 for each question.

        Raises:
            InputError: input is a str, or one of the texts is none.
        """
        return list(self.encoder.encode_query(as_list("input", input), normalize_embeddings=True))

    def check(self, collection: "Collection") -> None:
        """Refuse a collection that another model filled.

        To be called where a collection is opened with this function: Chroma compares the names of
        the two alone then. Where it is opened without one, `build_from_config` checks.

        Args:
            collection: Chroma's.

        Raises:
            ArtifactError: its vectors are of another fingerprint, or it does not say of which.
        """
        kept = collection.configuration_json.get("embedding_function") or {}
        found = kept.get("config", {}).get("fingerprint")
        if found != self.encoder.fingerprint:
            raise ArtifactError(
                f"collection {collection.name}: expected vectors of {self.encoder.fingerprint}, "
                f"got {found or 'one that says nothing of them'}; open it with the model that "
                "filled it, or make it anew"
            )

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
            raise ArtifactError(
                f"collection: expected vectors of {old}, got a model that makes those of {new}; "
                "make the collection anew"
            )

    @staticmethod
    def validate_config(config: dict[str, Any]) -> None:
        """Accept what `get_config` gives."""
