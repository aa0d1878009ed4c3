"""txtai's Embeddings take the encoder as a vectors backend, save it and find it again."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minilm_onnx import ArtifactError, InputError, SentenceEncoder
from minilm_onnx.folder.finding import BUNDLED
from tests.integrations.ecosystem import read_less

txtai = pytest.importorskip("txtai", reason="txtai is not installed")

METHOD = "minilm_onnx.integrations.txtai.MiniLMVectors"
TEXTS = ["The bakery opens at six.", "Trains leave every hour.", "", "snow " * 300]


def embeddings(**options: Any) -> Any:
    return txtai.Embeddings(method=METHOD, backend="numpy", content=True, **options)


def test_vectors_have_the_bits_of_encode(encoder: SentenceEncoder) -> None:
    made = embeddings()
    expected = encoder.encode(TEXTS)
    assert np.array_equal(made.batchtransform(TEXTS), expected)
    assert np.array_equal(made.transform(TEXTS[0]), expected[0])
    made.index(TEXTS)
    assert np.array_equal(made.ann.backend, expected)
    assert made.config["fingerprint"] == encoder.fingerprint
    assert made.config["dimensions"] == 384


def test_search_and_similarity_find_the_bakery() -> None:
    made = embeddings()
    made.index(TEXTS)
    (found,) = made.search("when can I buy bread?", 1)
    assert found["text"] == TEXTS[0]
    found = made.search("select text from txtai where similar('a railway station') limit 1")
    assert found == [{"text": TEXTS[1]}]
    assert made.similarity("when can I buy bread?", TEXTS)[0][0] == 0
    made.upsert([("more", "Rolls and bread are baked at four.", None)])
    assert {row["text"] for row in made.search("bread", 2)} >= {TEXTS[0]}


def test_the_models_prompts_are_put_before_texts(model_with_prompts: str) -> None:
    made = embeddings(path=model_with_prompts)
    prompted = SentenceEncoder(model_with_prompts)
    assert np.array_equal(made.batchtransform(["a cat"]), prompted.encode_query(["a cat"]))
    made.index(["a cat"])
    assert np.array_equal(made.ann.backend, prompted.encode_document(["a cat"]))
    assert not np.array_equal(made.ann.backend, prompted.encode_query(["a cat"]))


@pytest.fixture
def model_with_prompts(tmp_path: Path) -> str:
    folder = tmp_path / "prompts"
    shutil.copytree(BUNDLED, folder)
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    prompts = {"query": "query: ", "document": "passage: "}
    text = json.dumps({**manifest, "prompts": prompts})
    (folder / "manifest.json").write_text(text, "utf-8")
    return str(folder)


def test_shortened_vectors_have_length_one(encoder: SentenceEncoder) -> None:
    made = embeddings(dimensionality=64)
    expected = encoder.encode(TEXTS, truncate_dim=64, normalize_embeddings=True)
    np.testing.assert_allclose(made.batchtransform(TEXTS), expected, atol=1e-6)
    bits = embeddings(quantize=1)
    assert bits.batchtransform(TEXTS).shape == (4, 48)


def test_a_saved_index_finds_its_model_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(BUNDLED, tmp_path / "model")
    monkeypatch.chdir(tmp_path)
    made = embeddings(path="model", vectors={"threads": 1})
    made.index(TEXTS)
    made.save("faq")
    monkeypatch.chdir("faq")
    opened = txtai.Embeddings().load(str(tmp_path / "faq"))
    assert opened.config["path"] == str(tmp_path / "model")
    assert opened.search("when can I buy bread?", 1)[0]["text"] == TEXTS[0]


def test_another_models_index_is_refused_and_can_be_made_anew(
    tmp_path: Path, encoder: SentenceEncoder
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(BUNDLED, folder)
    made = embeddings(path=str(folder))
    made.index(TEXTS)
    made.save(str(tmp_path / "faq"))
    read_less(folder)
    opened = txtai.Embeddings().load(str(tmp_path / "faq"))
    with pytest.raises(ArtifactError, match="index: expected vectors of"):
        opened.search("bread", 1)
    with pytest.raises(ArtifactError, match="reindex it"):
        opened.upsert([("more", "bread", None)])
    opened.load(str(tmp_path / "faq"))  # txtai has kept the text, though it has no vector
    opened.reindex(method=METHOD, backend="numpy")
    assert opened.search("when can I buy bread?", 1)[0]["text"] == TEXTS[0]
    assert opened.config["fingerprint"] == encoder.fingerprint


def test_an_index_that_does_not_say_its_model_is_refused(tmp_path: Path) -> None:
    vectors = {text: np.full(384, 1 / 384**0.5, dtype=np.float32) for text in TEXTS}

    def transform(texts: list[str]) -> Any:
        return np.stack([vectors[text] for text in texts])

    other = txtai.Embeddings(transform=transform, backend="numpy", content=True)
    other.index(TEXTS)
    other.save(str(tmp_path / "faq"))
    opened = txtai.Embeddings().load(str(tmp_path / "faq"), config={"method": METHOD})
    with pytest.raises(ArtifactError, match="got no fingerprint"):
        opened.search("bread", 1)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(InputError, match="maxlength: expected 256, which the model reads"):
        embeddings(maxlength=512).index(TEXTS)
    assert embeddings(maxlength=True).transform("a cat").shape == (384,)
    with pytest.raises(InputError, match="vectors: expected only threads, got device"):
        embeddings(vectors={"device": "cuda"}).index(TEXTS)
    with pytest.raises(InputError, match="threads: expected a positive int"):
        embeddings(vectors={"threads": 0}).index(TEXTS)
    with pytest.raises(ArtifactError, match="no-such"):
        embeddings(path="no-such").index(TEXTS)
    with pytest.raises(InputError, match="expected a str"):
        embeddings().batchtransform([None])
