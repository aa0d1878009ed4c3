"""Haystack has no conformance tests: pipelines of its own, their YAML, and the bits of encode."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minilm_onnx import InputError, SentenceEncoder
from minilm_onnx.folder.finding import BUNDLED

pytest.importorskip("haystack", reason="haystack-ai is not installed")

from haystack import Document, Pipeline
from haystack.components.retrievers.in_memory import InMemoryEmbeddingRetriever
from haystack.components.writers import DocumentWriter
from haystack.document_stores.in_memory import InMemoryDocumentStore

from minilm_onnx.integrations.haystack import MiniLMDocumentEmbedder, MiniLMTextEmbedder
from tests.integrations.ecosystem import floats


def test_vectors_are_those_of_encode(encoder: SentenceEncoder) -> None:
    question = MiniLMTextEmbedder(threads=1)
    question.warm_up()
    found = question.run("a cat")["embedding"]
    assert np.array_equal(floats(found), encoder.encode("a cat"))
    given = [Document(content="a cat", meta={"title": "Pets", "no": None}), Document(content=None)]
    embedder = MiniLMDocumentEmbedder(
        meta_fields_to_embed=["title", "no"], embedding_separator=": "
    )
    embedder.warm_up()
    documents = embedder.run(given)["documents"]
    assert [one.embedding for one in given] == [None, None]
    vectors = floats([one.embedding for one in documents])
    assert np.array_equal(vectors, encoder.encode(["Pets: a cat", ""]))
    assert embedder.run([])["documents"] == []


def test_each_embedder_refuses_what_is_for_the_other() -> None:
    question, embedder = MiniLMTextEmbedder(), MiniLMDocumentEmbedder()
    wrong: list[Any] = [3, None, ["a", "b"], [Document(content="a cat")]]
    for text in wrong:
        with pytest.raises(InputError, match=r"text: expected a str, .*MiniLMDocumentEmbedder"):
            question.run(text)
    wrong = ["abc", None, ["abc"], [Document(content="a cat"), None]]
    for documents in wrong:
        with pytest.raises(InputError, match=r"documents.*: expected a .*MiniLMTextEmbedder"):
            embedder.run(documents)


@pytest.mark.parametrize("kind", [MiniLMTextEmbedder, MiniLMDocumentEmbedder])
def test_a_folder_may_be_a_path(kind: Any) -> None:
    pipeline = Pipeline()
    pipeline.add_component("embedder", kind(model=Path(BUNDLED)))
    trusted = ["minilm_onnx.integrations.haystack"]
    again = Pipeline.loads(pipeline.dumps(), allowed_modules=trusted)
    assert again.get_component("embedder").model == str(BUNDLED)


def test_pipelines_find_by_meaning_after_a_round_trip() -> None:
    store = InMemoryDocumentStore(embedding_similarity_function="cosine")
    indexing = Pipeline()
    indexing.add_component("embedder", MiniLMDocumentEmbedder(meta_fields_to_embed=["place"]))
    indexing.add_component("writer", DocumentWriter(store))
    indexing.connect("embedder", "writer")
    trusted = ["minilm_onnx.integrations.haystack"]
    written = Pipeline.loads(indexing.dumps(), allowed_modules=trusted).get_component("embedder")
    assert written.to_dict() == indexing.get_component("embedder").to_dict()
    documents = [
        Document(content="The bakery opens at six.", meta={"place": "town"}),
        Document(content="Trains leave every hour.", meta={"place": "station"}),
    ]
    indexing.run({"embedder": {"documents": documents}})
    asking: Any = Pipeline()
    asking.add_component("embedder", MiniLMTextEmbedder(threads=1))
    asking.add_component("retriever", InMemoryEmbeddingRetriever(store, top_k=1))
    asking.connect("embedder.embedding", "retriever.query_embedding")
    assert MiniLMTextEmbedder.from_dict(asking.get_component("embedder").to_dict()).threads == 1
    found = asking.run({"embedder": {"text": "when can I buy bread?"}})
    assert found["retriever"]["documents"][0].content == "The bakery opens at six."
