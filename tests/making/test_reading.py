"""Checkpoints that are damaged or odd: refused by one line that names what is wrong."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minilm_onnx.errors import ArtifactError

for name in ("onnx", "safetensors"):
    pytest.importorskip(name, reason=f"{name} of the extra models is not installed")

from minilm_onnx.making.architectures import BIAS, MPNET
from minilm_onnx.making.checkpoint import find_checkpoint
from minilm_onnx.making.reading import read_folder
from minilm_onnx.making.recipe import Recipe
from tests.support.tiny import HEADS, write_tiny

WEIGHTS = "model.safetensors"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("tiny") / "checkpoint")


@pytest.fixture
def folder(tiny: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny, tmp_path / "checkpoint"))


def read(folder: Path) -> Recipe:
    return read_folder(find_checkpoint(str(folder), "own"))


def change(path: Path, **fields: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def make_mpnet(folder: Path, bias: np.ndarray | None) -> None:
    """Give the tensors MPNet's names."""
    from safetensors.numpy import load_file, save_file

    tensors = load_file(folder / WEIGHTS)
    del tensors["embeddings.token_type_embeddings.weight"]
    for theirs, bert in MPNET.items():
        for key in [key for key in tensors if f".{bert}." in key]:
            tensors[key.replace(bert, theirs)] = tensors.pop(key)
    save_file(tensors | ({} if bias is None else {BIAS: bias}), folder / WEIGHTS)
    change(folder / "config.json", model_type="mpnet", pad_token_id=1, type_vocab_size=1)


def test_mpnet_is_read(folder: Path) -> None:
    make_mpnet(folder, np.ones((32, HEADS), dtype=np.float32))
    recipe = read(folder)
    assert recipe.weights.bias is not None
    assert recipe.weights.bias.shape == (HEADS, 62, 62)


@pytest.mark.parametrize(("rows", "got"), [(None, "none"), (8, r"\(8, 4\)")])
def test_mpnet_without_its_whole_bias_is_refused(folder: Path, rows: int | None, got: str) -> None:
    make_mpnet(folder, None if rows is None else np.ones((rows, HEADS), dtype=np.float32))
    with pytest.raises(ArtifactError, match=rf"{BIAS} of shape \(32, 4\) .*, got {got}; complete"):
        read(folder)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"num_attention_heads": 5}, "heads that divide hidden_size, got 5 and 64; fix config.j"),
        ({"layer_norm_eps": None}, "expected a layer_norm_eps from 0 to 1, got None; fix config"),
        ({"layer_norm_eps": "1e-12"}, "expected a layer_norm_eps from 0 to 1, got 1e-12"),
        (
            {"model_type": "roberta", "pad_token_id": 100},
            "expected a pad_token_id .* below 63, got 100",
        ),
        (
            {"model_type": "roberta", "pad_token_id": 63},
            "expected a pad_token_id .* below 63, got 63",
        ),
        ({"model_type": "roberta", "pad_token_id": 62}, "expected a max_seq_length of 3 to 512"),
    ],
)
def test_a_config_that_cannot_be_run_is_refused(
    folder: Path, fields: dict[str, Any], said: str
) -> None:
    change(folder / "config.json", **fields)
    with pytest.raises(ArtifactError, match=said):
        read(folder)


def test_a_tokenizer_without_special_tokens_is_refused(folder: Path) -> None:
    change(folder / "tokenizer.json", post_processor=None)
    with pytest.raises(ArtifactError, match=r"tokenizer\.json: expected a post_processor"):
        read(folder)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"default_prompt_name": "nope"}, "default_prompt_name of query, document, got nope; fix"),
        ({"default_prompt_name": ["query"]}, "default_prompt_name of query, document, got "),
        (
            {"similarity_fn_name": "angle"},
            "similarity_fn_name of cosine, dot, euclidean, manhattan, got angle; fix it",
        ),
    ],
)
def test_prompts_and_measure_are_checked_where_they_are_written(
    folder: Path, fields: dict[str, Any], said: str
) -> None:
    change(folder / "config_sentence_transformers.json", **fields)
    with pytest.raises(ArtifactError) as caught:
        read(folder)
    assert str(caught.value).startswith(f"{folder / 'config_sentence_transformers.json'}: expected")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("change_it", "expected"),
    [
        (lambda path: None, ("", "cosine")),
        (
            lambda path: change(path, default_prompt_name="query", similarity_fn_name="dot"),
            ("query", "dot"),
        ),
        (
            lambda path: change(path, default_prompt_name=None, similarity_fn_name=None),
            ("", "cosine"),
        ),
    ],
)
def test_prompts_and_measure_are_read(
    folder: Path, change_it: Callable[[Path], None], expected: tuple[str, str]
) -> None:
    change_it(folder / "config_sentence_transformers.json")
    recipe = read(folder)
    assert (recipe.default_prompt_name, recipe.similarity_fn_name) == expected
