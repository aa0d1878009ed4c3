"""Chroma: persisted, reopened by name, refused where the vectors would be others."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minilm_onnx import ArtifactError, InputError, SentenceEncoder
from minilm_onnx.folder.finding import BUNDLED

chromadb = pytest.importorskip("chromadb", reason="chromadb is not installed")

from minilm_onnx.integrations.chroma import MiniLMEmbeddingFunction
from tests.integrations.ecosystem import read_less


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


def test_a_collection_of_another_model_is_refused(tmp_path: Path) -> None:
    folder = shutil.copytree(BUNDLED, tmp_path / "model")
    function = MiniLMEmbeddingFunction(model=folder)
    made = client(tmp_path).create_collection("faq", embedding_function=function)
    made.add(ids=["a"], documents=["The bakery opens at six."])
    read_less(folder)
    again = client(tmp_path).get_collection("faq")  # Chroma makes the function itself
    calls: list[Callable[[], Any]] = [
        lambda: again.query(query_texts=["bread"]),
        lambda: again.add(ids=["b"], documents=["bread"]),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=r"expected vectors of .*:256:.* got .*:16:"):
            call()
    other = MiniLMEmbeddingFunction(model=folder)
    given = client(tmp_path).get_collection("faq", embedding_function=other)
    with pytest.raises(ArtifactError, match=r"collection faq: expected .*:16:.* got .*:256:"):
        other.check(given)
    MiniLMEmbeddingFunction().check(given)
    plain = client(tmp_path).create_collection(
        "plain", embedding_function=MiniLMEmbeddingFunction()
    )
    with pytest.raises(ArtifactError, match=r"expected vectors of .*:256:.* those of .*:16:"):
        plain.modify(configuration={"embedding_function": other})
    foreign = client(tmp_path).create_collection("foreign", embedding_function=None)
    with pytest.raises(ArtifactError, match="got no fingerprint"):
        other.check(foreign)


def test_chroma_compares_names_alone_where_a_function_is_given(tmp_path: Path) -> None:
    """The limit that docs/integrations.md states; when Chroma checks more, it can go."""
    function = MiniLMEmbeddingFunction()
    client(tmp_path).create_collection("faq", embedding_function=function)
    folder = shutil.copytree(BUNDLED, tmp_path / "model")
    read_less(folder)
    other = MiniLMEmbeddingFunction(model=folder)
    given = client(tmp_path).get_collection("faq", embedding_function=other)
    given.add(ids=["a"], documents=["The bakery opens at six."])
    assert given.count() == 1


def test_a_folder_is_found_from_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoder: SentenceEncoder
) -> None:
    monkeypatch.chdir(BUNDLED.parent)
    function = MiniLMEmbeddingFunction(model=Path(BUNDLED.name))
    made = client(tmp_path).create_collection("faq", embedding_function=function)
    made.add(ids=["a"], documents=["The bakery opens at six."])
    monkeypatch.chdir(tmp_path)
    again = client(tmp_path).get_collection("faq")
    assert again.query(query_texts=["bread"])["ids"] == [["a"]]
    config = again.configuration_json["embedding_function"]["config"]
    assert config == {"model": str(BUNDLED.resolve()), "fingerprint": encoder.fingerprint}


def test_one_str_is_refused() -> None:
    with pytest.raises(InputError, match="input: expected a list of texts, got str"):
        MiniLMEmbeddingFunction()("hello")
