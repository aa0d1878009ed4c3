"""Checkpoints as several versions of sentence-transformers save them, kept in tests/golden."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minilm_onnx import ArtifactError

for name in ("onnx", "scipy", "sentence_transformers", "transformers"):
    pytest.importorskip(name, reason=f"{name} of export/requirements.txt is not installed")

from tests.conftest import GOLDEN
from tests.support.checkpoints import MARKS, change, exported

pytestmark = MARKS
CHECKPOINTS = GOLDEN / "checkpoints"
VERSIONS = sorted(path.stem for path in CHECKPOINTS.glob("*.json"))


def keep(tmp_path: Path, version: str) -> Path:
    return Path(shutil.copytree(CHECKPOINTS / version, tmp_path / "checkpoint"))


def test_the_checkpoints_differ_in_what_the_names_are() -> None:
    assert VERSIONS == ["5.7.0", "6.2.0"]
    last = [json.loads((CHECKPOINTS / v / "modules.json").read_text())[-1] for v in VERSIONS]
    assert len({module["type"] for module in last}) == 2
    for version in VERSIONS:
        assert (
            "max_seq_length"
            not in (CHECKPOINTS / version / "sentence_bert_config.json").read_text()
        )


@pytest.mark.parametrize("version", VERSIONS)
def test_a_checkpoint_of_any_version_agrees_with_the_version_that_saved_it(
    tmp_path: Path, version: str
) -> None:
    encoder = exported(keep(tmp_path, version))
    said = json.loads((CHECKPOINTS / f"{version}.json").read_text())
    assert encoder.max_seq_length == said["max_seq_length"] == 16
    found = encoder.encode(list(said["vectors"]))
    np.testing.assert_allclose(found, list(said["vectors"].values()), atol=1e-5)


def without_limit(checkpoint: Path) -> None:
    (checkpoint / "sentence_bert_config.json").unlink()


def by_older_names(checkpoint: Path) -> None:
    """As versions before 5 write them."""
    modules = json.loads((checkpoint / "modules.json").read_text())
    for module in modules:
        module["type"] = "sentence_transformers.models." + module["type"].rpartition(".")[2]
    (checkpoint / "modules.json").write_text(json.dumps(modules))
    pooling = {"word_embedding_dimension": 8, "pooling_mode_mean_tokens": True}
    (checkpoint / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    bert = {"max_seq_length": 16, "do_lower_case": False}
    (checkpoint / "sentence_bert_config.json").write_text(json.dumps(bert))


@pytest.mark.parametrize("change_it", [without_limit, by_older_names])
def test_what_says_the_same_in_other_words_makes_the_same_vectors(
    tmp_path: Path, change_it: Callable[[Path], None]
) -> None:
    checkpoint = keep(tmp_path, "6.2.0")
    change_it(checkpoint)
    encoder = exported(checkpoint)
    said = json.loads((CHECKPOINTS / "6.2.0.json").read_text())
    assert encoder.max_seq_length == 16
    found = encoder.encode(list(said["vectors"]))
    np.testing.assert_allclose(found, list(said["vectors"].values()), atol=1e-5)


@pytest.mark.parametrize(
    ("name", "fields", "words"),
    [
        ("3_Normalize/config.json", {"module_input_name": "token_embeddings"}, "module_input_name"),
        ("2_Dense/config.json", {"use_residual": True}, "use_residual = True"),
        ("sentence_bert_config.json", {"query_length": 8}, "query_length = 8"),
    ],
)
def test_what_newer_versions_can_do_beside_is_refused(
    tmp_path: Path, name: str, fields: dict[str, Any], words: str
) -> None:
    checkpoint = keep(tmp_path, "6.2.0")
    change(checkpoint / name, fields)
    with pytest.raises(ArtifactError, match=words):
        exported(checkpoint)


@pytest.mark.parametrize("path", ["../elsewhere", "/elsewhere", "a/b", "..", None])
def test_a_module_elsewhere_is_refused(tmp_path: Path, path: str | None) -> None:
    checkpoint = keep(tmp_path, "6.2.0")
    modules = json.loads((checkpoint / "modules.json").read_text())
    modules[2]["path"] = path
    (checkpoint / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(ArtifactError, match="each module in a folder beside it"):
        exported(checkpoint)
