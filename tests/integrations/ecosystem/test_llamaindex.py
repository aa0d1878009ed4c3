"""LlamaIndex has no conformance tests: an index, a round trip through its serialisation, bits."""

import asyncio
from typing import Any

import numpy as np
import pytest

from minilm_onnx import SentenceEncoder
from minilm_onnx.folder.finding import BUNDLED
from minilm_onnx.integrations import shared_encoder

pytest.importorskip("llama_index.core", reason="llama-index-core is not installed")

from llama_index.core import Document, VectorStoreIndex

from minilm_onnx.integrations.llamaindex import MiniLMEmbedding
from tests.integrations.ecosystem import floats


def test_vectors_are_those_of_encode(encoder: SentenceEncoder) -> None:
    texts = ["a cat", "a dog", "a car"]
    made = MiniLMEmbedding(embed_batch_size=2)
    assert np.array_equal(floats(made.get_text_embedding_batch(texts)), encoder.encode(texts))
    assert np.array_equal(floats(made.get_query_embedding("a cat")), encoder.encode("a cat"))
    assert np.array_equal(floats(made.get_text_embedding("a cat")), encoder.encode("a cat"))
    later = asyncio.run(made.aget_text_embedding_batch(texts))
    assert np.array_equal(floats(later), encoder.encode(texts))
    alone = asyncio.run(made.aget_query_embedding("a cat"))
    assert np.array_equal(floats(alone), encoder.encode("a cat"))
    one = asyncio.run(made.aget_text_embedding("a cat"))
    assert np.array_equal(floats(one), encoder.encode("a cat"))


def test_it_is_written_down_and_made_again() -> None:
    made = MiniLMEmbedding(threads=1, embed_batch_size=7)
    again = MiniLMEmbedding.from_dict(made.to_dict())
    assert (again.threads, again.embed_batch_size, again.model) == (1, 7, None)
    assert again.get_text_embedding("a cat") == made.get_text_embedding("a cat")


def test_prompts_are_those_of_encode_later_too(monkeypatch: pytest.MonkeyPatch) -> None:
    made = MiniLMEmbedding()
    prompts = {"query": "question: ", "document": "passage: "}
    monkeypatch.setattr(shared_encoder(), "prompts", prompts)
    query, text = made.get_query_embedding("a cat"), made.get_text_embedding("a cat")
    assert query != text
    assert asyncio.run(made.aget_query_embedding("a cat")) == query
    assert asyncio.run(made.aget_text_embedding("a cat")) == text
    assert asyncio.run(made.aget_text_embedding_batch(["a cat"])) == [text]


def test_texts_come_in_calls_that_can_be_batched(monkeypatch: pytest.MonkeyPatch) -> None:
    made = MiniLMEmbedding()
    assert made.embed_batch_size == 2048
    calls = []
    encode = SentenceEncoder.encode

    def counted(self: SentenceEncoder, texts: list[str], **options: Any) -> Any:
        calls.append(len(texts))
        return encode(self, texts, **options)

    monkeypatch.setattr(SentenceEncoder, "encode", counted)
    made.get_text_embedding_batch(["a cat"] * 2049)
    assert calls == [2048, 1]


def test_a_folder_may_be_a_path() -> None:
    made = MiniLMEmbedding(model=BUNDLED)
    again = MiniLMEmbedding.from_dict(made.to_dict())
    assert made.model == again.model == str(BUNDLED)
    assert made.get_text_embedding("a cat") == MiniLMEmbedding().get_text_embedding("a cat")


def test_an_index_finds_by_meaning() -> None:
    documents = [Document(text="The bakery opens at six."), Document(text="Trains leave hourly.")]
    index = VectorStoreIndex.from_documents(documents, embed_model=MiniLMEmbedding())
    (found,) = index.as_retriever(similarity_top_k=1).retrieve("when can I buy bread?")
    assert found.node.get_content() == "The bakery opens at six."
