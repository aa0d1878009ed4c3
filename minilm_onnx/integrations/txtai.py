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
    """Vectors for txtai's `Embeddings`; a saved index stores the encoder's fingerprint.

    It reads two fields of the configuration: `path` (a model folder; the bundled model if missing)
    and `vectors` (such as `{"threads": 2}`). The model is loaded with the first text, because txtai
    replaces every error in a backend's constructor with its own.
    """

    def loadmodel(self, path: str | None) -> None:
        """Return without loading; the first text loads the model."""

    def encode(self, data: Sequence[str], category: str | None = None) -> Matrix:
        """Return (N, 384) float32 unit rows.

        Args:
            data: N texts.
            category: "data" for documents; anything else for questions.

        Raises:
            ArtifactError: the folder is not a model folder, or the index was filled with another
                model.
            InputError: one of the texts is not a str, or the configuration has an unsupported
                value.
        """
        encoder = self._encoder()
        embed = encoder.encode_document if category == "data" else encoder.encode_query
        return embed(list(data), normalize_embeddings=True)

    def normalize(self, embeddings: FloatArray) -> FloatArray:
        """Scale rows that txtai has shortened to length 1; all others have length 1 already."""
        if embeddings.shape[-1] == self._encoder().dimension:
            return embeddings
        shortened: FloatArray = super().normalize(embeddings)
        return shortened

    def _encoder(self) -> SentenceEncoder:
        options: dict[str, Any] = dict(self.config.get("vectors") or {})
        threads = options.pop("threads", None)
        if options:
            raise InputError(f"vectors: expected only threads, got {', '.join(options)}")
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
                f"{found or 'no fingerprint'}; open it with the model that filled "
                "it, or reindex it"
            )
        self.config["fingerprint"] = encoder.fingerprint
        return encoder
