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
    """Embeds a question, as the start of a query pipeline."""

    def __init__(self, *, model: str | Path | None = None, threads: int | None = None) -> None:
        """Keep what the model is to be; `warm_up` or the first text loads it.

        Args:
            model: see `SentenceEncoder`.
            threads: likewise.
        """
        # YAML has no paths.
        self.model, self.threads = None if model is None else str(model), threads

    def warm_up(self) -> None:
        """Load the model."""
        shared_encoder(self.model, self.threads)

    @component.output_types(embedding=list[float])
    def run(self, text: str) -> dict[str, Any]:
        """Give {"embedding": 384 floats}.

        Raises:
            InputError: it is no str; a list of documents is for MiniLMDocumentEmbedder.
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
        """Write it down for a pipeline's YAML."""
        return dict(default_to_dict(self, model=self.model, threads=self.threads))

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "MiniLMTextEmbedder":
        """Make it again."""
        made: MiniLMTextEmbedder = default_from_dict(cls, data)
        return made


@component
class MiniLMDocumentEmbedder:
    """Embeds documents, before a writer."""

    def __init__(
        self,
        *,
        model: str | Path | None = None,
        threads: int | None = None,
        meta_fields_to_embed: list[str] | None = None,
        embedding_separator: str = "\n",
    ) -> None:
        """Keep what the model is to be; `warm_up` or the first document loads it.

        Args:
            model: see `SentenceEncoder`.
            threads: likewise.
            meta_fields_to_embed: fields of the meta data that stand before the content.
            embedding_separator: what stands between these.
        """
        self.model, self.threads = None if model is None else str(model), threads
        self.meta_fields_to_embed = meta_fields_to_embed or []
        self.embedding_separator = embedding_separator

    def warm_up(self) -> None:
        """Load the model."""
        shared_encoder(self.model, self.threads)

    @component.output_types(documents=list[Document])
    def run(self, documents: list[Document]) -> dict[str, Any]:
        """Give {"documents": copies that have their embedding}.

        Raises:
            InputError: it is no list of documents; a str is for MiniLMTextEmbedder.
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
        """Write it down for a pipeline's YAML."""
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
        """Make it again."""
        made: MiniLMDocumentEmbedder = default_from_dict(cls, data)
        return made

    def _text(self, document: Document) -> str:
        before = [document.meta.get(field) for field in self.meta_fields_to_embed]
        parts = [str(part) for part in before if part is not None]
        return self.embedding_separator.join([*parts, document.content or ""])
