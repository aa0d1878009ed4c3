"""An index that is empty, for those that fill it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from minilm_onnx import SentenceEncoder
from minilm_onnx.index.textindex import TextIndex


@pytest.fixture
def db(tmp_path: Path) -> Path:
    return tmp_path / "texts.db"


@pytest.fixture
def index(db: Path, encoder: SentenceEncoder) -> Iterator[TextIndex]:
    with TextIndex(db, encoder) as made:
        yield made
