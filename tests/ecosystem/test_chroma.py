"""Chroma: persisted, reopened by name, refused where the vectors would be others."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minilm_onnx import ArtifactError, SentenceEncoder

chromadb = pytest.importorskip("chromadb", reason="chromadb is not installed")

from minilm_onnx.integrations.chroma import MiniLMEmbeddingFunction


def client(folder: Path) -> Any:
    settings = chromadb.Settings(anonymized_telemetry=False)
    return chromadb.PersistentClient(str(folder), settings=settings)


def test_a_collection_is_reopened_by_name(tmp_path: Path, encoder: SentenceEncoder) -> None:
    texts = ["The bakery opens at six.", "Trains leave every hour."]
    made = client(tmp_path).create_collection("faq", embedding_function=MiniLMEmbeddingFunction())
    made.add(ids=["a", "b"], documents=texts)
    kept = made.get(include=["embeddings"])["embeddings"]
    np.testing.assert_allclose(kept, encoder.encode(texts), atol=1e-6)
    again = client(tmp_path).get_collection("faq")  # without naming the function
    found = again.query(query_texts=["when can I buy bread?"], n_results=1)
    assert found["ids"] == [["a"]]
    config = again.configuration["embedding_function"].get_config()
    assert config == {"model": None, "fingerprint": encoder.fingerprint}


def test_vectors_are_those_of_encode(encoder: SentenceEncoder) -> None:
    made = MiniLMEmbeddingFunction(threads=1)
    assert np.array_equal(np.stack(made(["a cat", "a dog"])), encoder.encode(["a cat", "a dog"]))
    assert made.default_space() in made.supported_spaces()


def test_another_model_is_refused() -> None:
    config = MiniLMEmbeddingFunction().get_config()
    MiniLMEmbeddingFunction.validate_config(config)
    made = MiniLMEmbeddingFunction.build_from_config(config)
    made.validate_config_update(config, dict(config))
    other = {"model": None, "fingerprint": "another"}
    with pytest.raises(ArtifactError, match="another"):
        MiniLMEmbeddingFunction.build_from_config(other)
    with pytest.raises(ArtifactError, match="another"):
        made.validate_config_update(config, other)
