"""What the bridges share, without any framework."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minilm_onnx import InputError, SentenceEncoder
from minilm_onnx.folder.finding import BUNDLED
from minilm_onnx.integrations import absolute, as_list, shared_encoder
from minilm_onnx.integrations.backend import Backend


def test_one_encoder_is_shared_however_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = [shared_encoder(), shared_encoder(None), shared_encoder(None, None)]
    asked.append(shared_encoder(model=None, threads=None))
    assert {id(one) for one in asked} == {id(asked[0])}
    assert shared_encoder(None, 1) is shared_encoder(threads=1)
    monkeypatch.chdir(BUNDLED.parent)
    folders: list[str | Path] = [BUNDLED, str(BUNDLED), BUNDLED.name, Path(BUNDLED.name)]
    assert len({id(shared_encoder(folder)) for folder in folders}) == 1
    with pytest.raises(InputError, match="model: expected"):
        shared_encoder(3)  # type: ignore[arg-type]


def test_a_folder_is_named_as_it_is_found_from_everywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert absolute(None) is None
    assert absolute("model") == absolute(Path("model")) == str(tmp_path.resolve() / "model")


def test_one_str_is_no_list_of_its_letters() -> None:
    assert as_list("X", iter(["a", "b"])) == ["a", "b"]
    wrong: list[Any] = ["ab", b"ab", None, 3]
    for given in wrong:
        with pytest.raises(InputError, match=r"^X: expected a list of texts"):
            as_list("X", given)


def test_backends_of_topics_refuse_one_str(encoder: SentenceEncoder) -> None:
    backend = Backend()
    with pytest.raises(InputError, match="documents: expected a list of texts, got str"):
        backend.embed("hello")
    words = np.array(["hello", "bread"], dtype=object)
    assert np.array_equal(backend.embed(words), encoder.encode(["hello", "bread"]))  # type: ignore[arg-type]
    assert backend.embedding_model is Backend(model=None).embedding_model
