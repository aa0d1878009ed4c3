"""LangChain's standard tests for embeddings, and the bits of encode."""

import asyncio

import numpy as np
import pytest

from minilm_onnx import SentenceEncoder

pytest.importorskip("langchain_core", reason="langchain-core is not installed")
standard = pytest.importorskip("langchain_tests", reason="langchain-tests is not installed")

from langchain_core.vectorstores import InMemoryVectorStore
from langchain_tests.integration_tests import EmbeddingsIntegrationTests
from langchain_tests.unit_tests import EmbeddingsUnitTests

from minilm_onnx.integrations.langchain import MiniLMEmbeddings
from tests.integrations.ecosystem import floats


class TestUnit(EmbeddingsUnitTests):
    @property
    def embeddings_class(self) -> type[MiniLMEmbeddings]:
        return MiniLMEmbeddings


class TestIntegration(EmbeddingsIntegrationTests):
    @property
    def embeddings_class(self) -> type[MiniLMEmbeddings]:
        return MiniLMEmbeddings


def test_vectors_are_those_of_encode(encoder: SentenceEncoder) -> None:
    texts = ["a cat", "a dog", ""]
    made = MiniLMEmbeddings()
    assert np.array_equal(floats(made.embed_documents(texts)), encoder.encode(texts))
    assert np.array_equal(floats(made.embed_query("a cat")), encoder.encode("a cat"))
    later = asyncio.run(made.aembed_documents(texts))
    assert np.array_equal(floats(later), encoder.encode(texts))
    alone = asyncio.run(made.aembed_query("a cat"))
    assert np.array_equal(floats(alone), encoder.encode("a cat"))


def test_prompts_are_those_of_encode_later_too(monkeypatch: pytest.MonkeyPatch) -> None:
    made = MiniLMEmbeddings()
    prompts = {"query": "question: ", "document": "passage: "}
    monkeypatch.setattr(made.encoder, "prompts", prompts)
    query, documents = made.embed_query("a cat"), made.embed_documents(["a cat"])
    assert query != documents[0]
    assert asyncio.run(made.aembed_query("a cat")) == query
    assert asyncio.run(made.aembed_documents(["a cat"])) == documents


def test_a_vector_store_finds_by_meaning() -> None:
    store = InMemoryVectorStore(MiniLMEmbeddings())
    store.add_texts(["The bakery opens at six.", "Trains leave every hour."])
    (found,) = store.similarity_search("when can I buy bread?", k=1)
    assert found.page_content == "The bakery opens at six."
