"""Folders without a manifest: what their small files say, of several versions."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minilm_onnx import ArtifactError, SentenceEncoder
from minilm_onnx.folder.artifact import load_artifact
from minilm_onnx.folder.finding import BUNDLED
from minilm_onnx.folder.layout import MANIFEST
from minilm_onnx.folder.small import MINILM
from tests.conftest import GOLDEN

BERT = {"transformer_task": "feature-extraction", "module_output_name": "token_embeddings"}
OLD, NEW = (GOLDEN / "checkpoints" / version for version in ("5.7.0", "6.2.0"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of optimum's."""
    path = Path(shutil.copytree(BUNDLED, tmp_path / "model"))
    (path / MANIFEST).unlink()
    write(path, "config.json", MINILM)
    return path


def write(folder: Path, name: str, fields: Any) -> None:
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(json.dumps(fields), "utf-8")


def modules_of(folder: Path, checkpoint: Path, *names: str) -> None:
    """Write the list of modules as a version names them, of those that the model has."""
    modules = json.loads((checkpoint / "modules.json").read_text("utf-8"))
    kept = [module for module in modules if module["type"].rpartition(".")[2] in names]
    write(folder, "modules.json", kept)
    shutil.copytree(checkpoint / "1_Pooling", folder / "1_Pooling", dirs_exist_ok=True)


@pytest.mark.parametrize("checkpoint", [OLD, NEW], ids=lambda path: path.name)
def test_files_of_either_version_are_read(folder: Path, checkpoint: Path) -> None:
    for name in ("sentence_bert_config.json", "tokenizer_config.json"):
        shutil.copy(checkpoint / name, folder)
    modules_of(folder, checkpoint, "Transformer", "Pooling", "Normalize")
    encoder = SentenceEncoder(folder)
    assert encoder.max_seq_length == 16
    bundled = SentenceEncoder()
    bundled.max_seq_length = 16
    texts = ["a cat", "snow " * 300]
    assert np.array_equal(encoder.encode(texts), bundled.encode(texts))


@pytest.mark.parametrize(
    ("bert", "tokenizer", "modules", "limit"),
    [
        (None, None, False, 256),
        # Which optimum copies, though the model reads 256.
        (None, {"model_max_length": 512}, False, 256),
        ({"max_seq_length": 64}, None, False, 64),
        ({"max_seq_length": 64}, {"model_max_length": 512}, False, 64),
        (BERT, {"model_max_length": 128}, False, 128),
        ({"max_seq_length": None}, {"model_max_length": 128}, False, 128),
        (BERT, {"model_max_length": 1000000000000000019884624838656}, False, 512),
        (None, {"model_max_length": 128}, True, 128),
        ({"max_seq_length": 64}, {"model_max_length": 128}, True, 64),
    ],
)
def test_the_limit_is_where_a_version_says_it(
    folder: Path, bert: Any, tokenizer: Any, modules: bool, limit: int
) -> None:
    for name, fields in (("sentence_bert_config", bert), ("tokenizer_config", tokenizer)):
        if fields is not None:
            write(folder, f"{name}.json", fields)
    if modules:
        modules_of(folder, NEW, "Transformer", "Pooling", "Normalize")
    assert load_artifact(folder).max_seq_length == limit


@pytest.mark.parametrize("said", [{}, {"model_max_length": 2}, {"model_max_length": "128"}, [128]])
def test_a_limit_that_is_none_is_refused(folder: Path, said: Any) -> None:
    write(folder, "sentence_bert_config.json", BERT)
    write(folder, "tokenizer_config.json", said)
    with pytest.raises(ArtifactError, match=r"expected a (max_seq_length of 3 to 512|JSON object)"):
        load_artifact(folder)


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [
        ({"embedding_dimension": 384, "pooling_mode": "cls", "include_prompt": True}, "cls"),
        ({"pooling_mode": ["mean", "max"]}, "mean+max"),
        ({"word_embedding_dimension": 384, "pooling_mode_mean_tokens": True}, "mean"),
        ({"pooling_mode_max_tokens": True, "pooling_mode_cls_token": True}, "cls+max"),
    ],
)
def test_pooling_is_as_either_version_says_it(folder: Path, pooling: Any, expected: str) -> None:
    modules_of(folder, NEW, "Transformer", "Pooling")
    write(folder, "tokenizer_config.json", {"model_max_length": 128})
    write(folder, "1_Pooling/config.json", pooling)
    artifact = load_artifact(folder)
    assert (artifact.pooling, artifact.normalize) == (expected, False)
    assert SentenceEncoder(folder).dimension == 384 * len(expected.split("+"))


@pytest.mark.parametrize(
    "pooling",
    [
        {},
        [],
        {"pooling_mode": "median"},
        {"pooling_mode": []},
        {"pooling_mode": [["mean"]]},
        {"pooling_mode": "mean", "include_prompt": False},
        {"pooling_mode_mean_tokens": "yes"},
    ],
)
def test_pooling_that_is_not_known_is_refused(folder: Path, pooling: Any) -> None:
    modules_of(folder, NEW, "Transformer", "Pooling", "Normalize")
    write(folder, "1_Pooling/config.json", pooling)
    with pytest.raises(ArtifactError, match=r"1_Pooling/config\.json: expected a "):
        load_artifact(folder)


def test_modules_that_are_not_known_are_refused(folder: Path) -> None:
    modules_of(folder, NEW, "Transformer", "Pooling", "Dense", "Normalize")
    with pytest.raises(ArtifactError, match="expected the modules Transformer, Pooling, then Norm"):
        load_artifact(folder)
    several: list[Any] = [{}, [], [5], [{"type": "Transformer"}]]
    for wrong in several:
        write(folder, "modules.json", wrong)
        with pytest.raises(ArtifactError, match="expected the modules"):
            load_artifact(folder)
    modules_of(folder, NEW, "Transformer", "Pooling")
    modules = json.loads((folder / "modules.json").read_text())
    for path in ("../1_Pooling", "/etc", "..", ".", "", None):
        modules[1]["path"] = path
        write(folder, "modules.json", modules)
        with pytest.raises(ArtifactError, match="Pooling in a folder beside it"):
            load_artifact(folder)
