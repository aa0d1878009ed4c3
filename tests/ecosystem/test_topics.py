"""BERTopic and KeyBERT take the encoder as a backend."""

import numpy as np
import pytest

from minilm_onnx import SentenceEncoder

PETS = ["my cat sleeps all day", "the dog barks at night", "a kitten and a puppy play"] * 4
MONEY = ["the bank raised its rates", "he paid the loan back", "my account is empty"] * 4


def test_keybert_finds_keywords(encoder: SentenceEncoder) -> None:
    keybert = pytest.importorskip("keybert", reason="keybert is not installed")
    from minilm_onnx.integrations.keybert import MiniLMBackend

    backend = MiniLMBackend()
    assert np.array_equal(backend.embed(["a cat"]), encoder.encode(["a cat"]))
    text = "The bakery sells bread and rolls. Bread is baked at four in the morning by its bakers."
    found = keybert.KeyBERT(model=backend).extract_keywords(text, top_n=3)
    assert {word for word, _ in found} & {"bakery", "bread", "bakers"}


def test_bertopic_finds_topics(encoder: SentenceEncoder) -> None:
    bertopic = pytest.importorskip("bertopic", reason="bertopic is not installed")
    from sklearn.cluster import KMeans
    from sklearn.decomposition import PCA

    from minilm_onnx.integrations.bertopic import MiniLMBackend

    backend = MiniLMBackend(threads=1)
    assert np.array_equal(backend.embed(["a cat"]), encoder.encode(["a cat"]))
    model = bertopic.BERTopic(
        embedding_model=backend,
        umap_model=PCA(5, random_state=0),
        hdbscan_model=KMeans(2, n_init=10, random_state=0),
    )
    topics, _ = model.fit_transform(PETS + MONEY)
    assert len(set(topics[:12])) == len(set(topics[12:])) == 1
    assert topics[0] != topics[12]
