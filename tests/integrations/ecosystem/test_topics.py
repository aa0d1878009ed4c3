"""BERTopic and KeyBERT take the encoder as a backend."""

import numpy as np
import pytest

from minilm_onnx import SentenceEncoder
from tests.support.frameworks import find_keywords, find_topics


def test_keybert_finds_keywords(encoder: SentenceEncoder) -> None:
    pytest.importorskip("keybert", reason="keybert is not installed")
    from minilm_onnx.integrations.keybert import MiniLMBackend

    backend = MiniLMBackend()
    assert np.array_equal(backend.embed(["a cat"]), encoder.encode(["a cat"]))
    find_keywords(backend)


def test_bertopic_finds_topics(encoder: SentenceEncoder) -> None:
    pytest.importorskip("bertopic", reason="bertopic is not installed")
    from minilm_onnx.integrations.bertopic import MiniLMBackend

    backend = MiniLMBackend(threads=1)
    assert np.array_equal(backend.embed(["a cat"]), encoder.encode(["a cat"]))
    find_topics(backend)
