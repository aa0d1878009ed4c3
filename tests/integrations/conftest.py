"""What the tests of several bridges begin with."""

from pathlib import Path

import pytest

from minilm_onnx.index.textindex import TextIndex


@pytest.fixture
def outgrown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The notes.db of one passage, here, that the examples of docs/outgrow.md begin with."""
    monkeypatch.chdir(tmp_path)
    with TextIndex("notes.db") as index:
        index.add("a", "Send it back within ten days.")
