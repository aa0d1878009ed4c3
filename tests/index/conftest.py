"""An index that is empty, for those that fill it, and one of TEXTS."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from minilm_onnx import SentenceEncoder
from minilm_onnx.index.textindex import TextIndex
from tests.support.indexes import STORAGES, fill


@pytest.fixture
def db(tmp_path: Path) -> Path:
    return tmp_path / "texts.db"


@pytest.fixture
def index(db: Path, encoder: SentenceEncoder) -> Iterator[TextIndex]:
    with TextIndex(db, encoder) as made:
        yield made


@pytest.fixture(params=STORAGES)
def filled(
    request: pytest.FixtureRequest, db: Path, encoder: SentenceEncoder
) -> Iterator[TextIndex]:
    """An index of TEXTS, once in each storage."""
    with TextIndex(db, encoder, storage=request.param) as made:
        fill(made)
        assert made.storage == request.param
        yield made
