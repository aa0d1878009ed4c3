"""What the tests of other models share."""

from pathlib import Path

import pytest


@pytest.fixture
def few_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let export judge a quarter of the held-out texts: the tests compare all of their own."""
    from minilm_onnx.making.corpus import read_split

    def quarter(texts: Path | None) -> tuple[list[str], list[str]]:
        calibration, held_out = read_split(texts)
        return calibration, held_out if texts is not None else held_out[::4]

    monkeypatch.setattr("minilm_onnx.making.steps.read_split", quarter)


@pytest.fixture(scope="package")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint that is exported as it is."""
    from tests.support.checkpoints import make, wordpiece

    return make(tmp_path_factory.mktemp("plain"), "bert", wordpiece(True))
