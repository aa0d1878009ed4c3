"""A vectors backend of txtai: `pip install '.[txtai]'`.

`Embeddings(method="minilm_onnx.integrations.txtai.MiniLMVectors")`, or the same in YAML.
https://neuml.github.io/txtai/embeddings/configuration/vectors/#method
"""

from collections.abc import Sequence
from typing import Any

from minilm_onnx.arrays import FloatArray, Matrix
from minilm_onnx.encoder import SentenceEncoder
from minilm_onnx.errors import ArtifactError, InputError, describe
from minilm_onnx.integrations import absolute, needing, shared_encoder

with needing("txtai"):
    from txtai.vectors import Vectors


class MiniLMVectors(Vectors):
    """Vectors for txtai's `Embeddings`; a saved index keeps the encoder's fingerprint.

    Of its configuration it reads `path` (a model folder; without one the bundled model) and
    `vectors` (`{"threads": 2}`). The model is loaded with the first text, not before: txtai
    replaces every error of a backend's constructor by one of its own.
    """

    def loadmodel(self, path: str | None) -> None:
        """Load nothing yet."""

    def encode(self, data: Sequence[str], category: str | None = None) -> Matrix:
        """Give (N, 384) float32 unit rows.

        Args:
            data: N texts.
            category: "data" where they are documents, else questions.

        Raises:
            ArtifactError: the folder is no model, or another one filled this index.
            InputError: one of the texts is no str, or the configuration asks for what cannot be.
        """
        encoder = self._encoder()
        embed = encoder.encode_document if category == "data" else encoder.encode_query
        return embed(list(data), normalize_embeddings=True)

    def normalize(self, embeddings: FloatArray) -> FloatArray:
        """Divide rows by their length where txtai has shortened them; others have length 1."""
        if embeddings.shape[-1] == self._encoder().dimension:
            return embeddings
        shortened: FloatArray = super().normalize(embeddings)
        return shortened

    def _encoder(self) -> SentenceEncoder:
        options: dict[str, Any] = dict(self.config.get("vectors") or {})
        threads = options.pop("threads", None)
        if options:
            raise InputError(f"vectors: expected threads alone, got {', '.join(options)}")
        if self.config.get("path") is not None:
            self.config["path"] = absolute(self.config["path"])
        encoder = shared_encoder(self.config.get("path"), threads)
        length = self.config.get("maxlength")
        if length not in (None, True, False, encoder.max_seq_length):
            raise InputError(
                f"maxlength: expected {encoder.max_seq_length}, which the model reads, or none, "
                f"got {describe(length)}; leave it out"
            )
        found = self.config.get("fingerprint")
        if found != encoder.fingerprint and (found or self.initialized):
            raise ArtifactError(
                f"index: expected vectors of {encoder.fingerprint}, got "
                f"{found or 'one that says nothing of them'}; open it with the model that filled "
                "it, or reindex it"
            )
        self.config["fingerprint"] = encoder.fingerprint
        return encoder
