"""LanceDB's embedding function: `pip install '.[lancedb]'`.

Importing this file registers it as "minilm-onnx", by which a table finds it again.
https://lancedb.github.io/lancedb/embeddings/
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from minilm_onnx.arrays import Vector
from minilm_onnx.encoder import SentenceEncoder
from minilm_onnx.errors import ArtifactError
from minilm_onnx.integrations import absolute, as_list, needing, shared_encoder

with needing("lancedb"):
    from lancedb.embeddings import TextEmbeddingFunction, register


@register("minilm-onnx")
class MiniLMFunction(TextEmbeddingFunction):
    """Vectors for a table: `get_registry().get("minilm-onnx").create()`.

    The table stores `model` and the encoder's fingerprint. A model that makes different vectors is
    refused. `threads` is not stored: each machine has its own.
    """

    model: str | Path | None = None
    threads: int | None = None
    fingerprint: str | None = None
    # A wrong text is as wrong the next time, and nothing here is far away.
    max_retries: int = 0

    def model_post_init(self, context: Any, /) -> None:
        """Load the model.

        Raises:
            ArtifactError: the model makes different vectors from those in the table.
        """
        super().model_post_init(context)
        found = self._encoder.fingerprint
        if self.fingerprint not in (None, found):
            raise ArtifactError(
                f"table: expected vectors of {self.fingerprint}, got a model that makes those of "
                f"{found}; create the table again, or install the version that made it"
            )
        self.fingerprint = found

    def safe_model_dump(self) -> dict[str, Any]:
        """Return what a table stores, from which LanceDB creates the function again."""
        kept = {key: value for key, value in super().safe_model_dump().items() if key != "threads"}
        model = kept.get("model")
        # LanceDB's "$var:name" stands for what each machine sets itself.
        if model is not None and not str(model).startswith("$var:"):
            kept["model"] = absolute(model)
        return {**kept, "fingerprint": self.fingerprint}

    def ndims(self) -> int:
        """Return the number of components of a vector."""
        return self._encoder.dimension

    def generate_embeddings(self, texts: Sequence[str | None]) -> "list[Vector | None]":
        """Return a (384,) float32 unit vector for each text, and None for null.

        Raises:
            InputError: one of them is neither a str nor null.
        """
        texts = as_list("texts", texts)
        given = [text for text in texts if text is not None]
        vectors = iter(self._encoder.encode_document(given, normalize_embeddings=True))
        return [None if text is None else next(vectors) for text in texts]

    def compute_query_embeddings(self, query: str, *args: Any, **options: Any) -> "list[Vector]":
        """Return the vector of a question, in a list: (384,) float32, length 1.

        Raises:
            InputError: the question is not a str.
        """
        return [self._encoder.encode_query(query, normalize_embeddings=True)]

    # LanceDB's own turn every error into a bare Exception.
    def compute_source_embeddings_with_retry(self, *args: Any, **options: Any) -> Any:
        """Return the vectors of a column, without retries."""
        return self.compute_source_embeddings(*args, **options)

    def compute_query_embeddings_with_retry(self, *args: Any, **options: Any) -> Any:
        """Return the vector of a question, without retries."""
        return self.compute_query_embeddings(*args, **options)

    @property
    def _encoder(self) -> SentenceEncoder:
        return shared_encoder(self.model, self.threads)
