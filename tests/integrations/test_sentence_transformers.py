"""A real SentenceTransformer that runs on this package, and software that takes no other object."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minilm_onnx import InputError, SentenceEncoder
from minilm_onnx.folder.finding import BUNDLED
from tests.conftest import documented
from tests.support.frameworks import find_keywords, find_scores, find_topics

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("default"),  # of sentence-transformers' own future
]
st = pytest.importorskip("sentence_transformers", reason="sentence-transformers is not installed")

from minilm_onnx.integrations.sentence_transformers import sentence_transformer

TEXTS = ["a cat", "", "the red door of the old mill", "snow " * 300, "42 %"] * 9


@pytest.fixture(scope="module")
def model() -> Any:
    return sentence_transformer()


def test_its_vectors_are_those_of_encode(model: Any, encoder: SentenceEncoder) -> None:
    assert isinstance(model, st.SentenceTransformer)
    expected = encoder.encode(TEXTS)
    assert np.array_equal(model.encode(TEXTS), expected)
    assert np.array_equal(model.encode(TEXTS, batch_size=7), expected)
    assert np.array_equal(model.encode("a cat"), expected[0])
    assert np.array_equal(model.encode_query(TEXTS), expected)
    assert np.array_equal(model.encode(TEXTS, convert_to_tensor=True).numpy(), expected)
    prompted = encoder.encode(TEXTS, prompt="passage: ")
    assert np.array_equal(model.encode(TEXTS, prompt="passage: "), prompted)
    assert str(model.device) == "cpu"
    assert model.get_embedding_dimension() == 384
    np.testing.assert_allclose(
        model.similarity(expected, expected).numpy(), expected @ expected.T, atol=1e-6
    )


def test_tokens_read_are_its_own(encoder: SentenceEncoder) -> None:
    model = sentence_transformer(threads=1)
    assert model.max_seq_length == 256
    model.max_seq_length = 16
    short = SentenceEncoder()
    short.max_seq_length = 16
    assert np.array_equal(model.encode(TEXTS), short.encode(TEXTS))
    assert encoder.max_seq_length == 256


def test_it_is_saved_and_loaded(tmp_path: Path, model: Any, encoder: SentenceEncoder) -> None:
    model.save(str(tmp_path))
    assert not list(tmp_path.rglob("*.onnx"))
    loaded = st.SentenceTransformer(str(tmp_path), trust_remote_code=True)
    assert np.array_equal(loaded.encode(TEXTS), encoder.encode(TEXTS))


def test_what_was_set_is_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(BUNDLED.parent)
    model = sentence_transformer(BUNDLED.name)
    model.max_seq_length = 16
    expected = model.encode(TEXTS)
    model.save(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    loaded = st.SentenceTransformer(str(tmp_path), trust_remote_code=True)
    assert loaded.max_seq_length == 16
    assert np.array_equal(loaded.encode(TEXTS), expected)


def test_what_is_no_text_is_refused(model: Any) -> None:
    for given in ([None], ["a cat", 3]):
        for prompt in (None, "passage: "):
            with pytest.raises(InputError, match="expected a str"):
                model.encode(given, prompt=prompt)


def test_the_page_shows_how(capsys: pytest.CaptureFixture[str]) -> None:
    exec(documented("integrations.md", "sentence-transformers"), {})  # the project's own document
    assert "tensor([[" in capsys.readouterr().out


def test_keybert_takes_it(model: Any) -> None:
    find_keywords(model)


def test_bertopic_takes_it(model: Any) -> None:
    find_topics(model)


def test_mteb_takes_it(model: Any, encoder: SentenceEncoder) -> None:
    find_scores(model, encoder)
