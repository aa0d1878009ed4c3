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
    """Vectors for a collection, which stores the fingerprint of the encoder."""

    def __init__(self, *, model: str | Path | None = None, threads: int | None = None) -> None:
        """Load the model; see `SentenceEncoder`."""
        self.model, self.threads = absolute(model), threads
        self.encoder = shared_encoder(model, threads)

    def __call__(self, input: Documents) -> list[FloatArray]:  # noqa: A002  # Chroma's name
        """Return a (384,) float32 unit vector for each text.

        Raises:
            InputError: input is a str, or one of its items is not a text.
        """
        return list(
            self.encoder.encode_document(as_list("input", input), normalize_embeddings=True)
        )

    def embed_query(self, input: Documents) -> list[FloatArray]:  # noqa: A002  # Chroma's name
        """Return a (384,) float32 unit vector for each question.

        Raises:
            InputError: input is a str, or one of its items is not a text.
        """
        return list(self.encoder.encode_query(as_list("input", input), normalize_embeddings=True))

    def check(self, collection: "Collection") -> None:
        """Refuse a collection that was filled with another model.

        Call this after opening a collection with this function, since Chroma then only compares
        names. If a collection is opened without a function, `build_from_config` checks.

        Args:
            collection: a Chroma collection.

        Raises:
            ArtifactError: the collection has vectors of another fingerprint, or does not store one.
        """
        kept = collection.configuration_json.get("embedding_function") or {}
        found = kept.get("config", {}).get("fingerprint")
        if found != self.encoder.fingerprint:
            raise ArtifactError(
                f"collection {collection.name}: expected vectors of {self.encoder.fingerprint}, "
                f"got {found or 'no fingerprint'}; open it with the model that filled it, or "
                "create it again"
            )

    @staticmethod
    def name() -> str:
        """Return the name that a collection stores."""
        return "minilm_onnx"

    def default_space(self) -> str:
        """Return the distance to use by default; vectors have length 1."""
        return "cosine"

    def supported_spaces(self) -> list[str]:
        """Return the supported distances: all of them."""
        return ["cosine", "l2", "ip"]

    def get_config(self) -> dict[str, Any]:
        """Return what a collection stores; `threads` is left to each machine."""
        return {"model": self.model, "fingerprint": self.encoder.fingerprint}

    @staticmethod
    def build_from_config(config: dict[str, Any]) -> "MiniLMEmbeddingFunction":
        """Create the function from the result of `get_config`.

        Raises:
            ArtifactError: the model in that folder makes different vectors now.
        """
        made = MiniLMEmbeddingFunction(model=config.get("model"))
        expected, found = config.get("fingerprint"), made.encoder.fingerprint
        if expected is not None and expected != found:
            raise ArtifactError(
                f"collection: expected vectors of {expected}, got a model that makes those of "
                f"{found}; create the collection again, or install the version that made it"
            )
        return made

    def validate_config_update(
        self, old_config: dict[str, Any], new_config: dict[str, Any]
    ) -> None:
        """Refuse a change of the model, since the vectors exist already.

        Raises:
            ArtifactError: the fingerprints differ.
        """
        old, new = old_config.get("fingerprint"), new_config.get("fingerprint")
        if old is not None and old != new:
            raise ArtifactError(
                f"collection: expected vectors of {old}, got a model that makes those of {new}; "
                "create the collection again"
            )

    @staticmethod
    def validate_config(config: dict[str, Any]) -> None:
        """Accept the result of `get_config`."""
