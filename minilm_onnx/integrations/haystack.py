"""Haystack's embedders: `pip install '.[haystack]'`.

https://docs.haystack.deepset.ai/docs/embedders
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

from minilm_onnx.errors import InputError, describe
from minilm_onnx.integrations import needing, shared_encoder

with needing("haystack"):
    from haystack import Document, component, default_from_dict, default_to_dict


@component
class MiniLMTextEmbedder:
    """Embeds a question, at the start of a query pipeline."""

    def __init__(self, *, model: str | Path | None = None, threads: int | None = None) -> None:
        """Store the arguments; `warm_up` or the first text loads the model.

        Args:
            model: see `SentenceEncoder`.
            threads: see `SentenceEncoder`.
        """
        # YAML has no paths.
        self.model, self.threads = None if model is None else str(model), threads

    def warm_up(self) -> None:
        """Load the model."""
        shared_encoder(self.model, self.threads)

    @component.output_types(embedding=list[float])
    def run(self, text: str) -> dict[str, Any]:
        """Return {"embedding": 384 floats}.

        Raises:
            InputError: the text is not a str. Use MiniLMDocumentEmbedder for documents.
        """
        if not isinstance(text, str):
            raise InputError(
                f"text: expected a str, got {describe(text)}; "
                "embed documents with MiniLMDocumentEmbedder"
            )
        encoder = shared_encoder(self.model, self.threads)
        vector = encoder.encode_query(text, normalize_embeddings=True)
        return {"embedding": vector.tolist()}

    def to_dict(self) -> dict[str, Any]:
        """Return the arguments as a dict, for the YAML of a pipeline."""
        return dict(default_to_dict(self, model=self.model, threads=self.threads))

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "MiniLMTextEmbedder":
        """Create the embedder from the result of `to_dict`."""
        made: MiniLMTextEmbedder = default_from_dict(cls, data)
        return made


@component
class MiniLMDocumentEmbedder:
    """Embeds documents, before a writer stores them."""

    def __init__(
        self,
        *,
        model: str | Path | None = None,
        threads: int | None = None,
        meta_fields_to_embed: list[str] | None = None,
        embedding_separator: str = "\n",
    ) -> None:
        """Store the arguments; `warm_up` or the first document loads the model.

        Args:
            model: see `SentenceEncoder`.
            threads: see `SentenceEncoder`.
            meta_fields_to_embed: metadata fields to put before the content of a document.
            embedding_separator: the text between these fields and the content.
        """
        self.model, self.threads = None if model is None else str(model), threads
        self.meta_fields_to_embed = meta_fields_to_embed or []
        self.embedding_separator = embedding_separator

    def warm_up(self) -> None:
        """Load the model."""
        shared_encoder(self.model, self.threads)

    @component.output_types(documents=list[Document])
    def run(self, documents: list[Document]) -> dict[str, Any]:
        """Return {"documents": copies of the documents with their embeddings}.

        Raises:
            InputError: this is not a list of documents. Use MiniLMTextEmbedder for a str.
        """
        if not isinstance(documents, list):
            raise InputError(
                f"documents: expected a list of Document, got {describe(documents)}; "
                "embed a str with MiniLMTextEmbedder"
            )
        for place, document in enumerate(documents):
            if not isinstance(document, Document):
                raise InputError(
                    f"documents[{place}]: expected a Document, got {describe(document)}; "
                    "embed a str with MiniLMTextEmbedder"
                )
        texts = [self._text(document) for document in documents]
        encoder = shared_encoder(self.model, self.threads)
        vectors = encoder.encode_document(texts, normalize_embeddings=True).tolist()
        pairs = zip(documents, vectors, strict=True)
        return {"documents": [replace(one, embedding=vector) for one, vector in pairs]}

    def to_dict(self) -> dict[str, Any]:
        """Return the arguments as a dict, for the YAML of a pipeline."""
        return dict(
            default_to_dict(
                self,
                model=self.model,
                threads=self.threads,
                meta_fields_to_embed=self.meta_fields_to_embed,
                embedding_separator=self.embedding_separator,
            )
        )

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "MiniLMDocumentEmbedder":
        """Create the embedder from the result of `to_dict`."""
        made: MiniLMDocumentEmbedder = default_from_dict(cls, data)
        return made

    def _text(self, document: Document) -> str:
        before = [document.meta.get(field) for field in self.meta_fields_to_embed]
        parts = [str(part) for part in before if part is not None]
        return self.embedding_separator.join([*parts, document.content or ""])
