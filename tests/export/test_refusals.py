"""Checkpoints that are refused by name, before anything in them can do harm."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from minilm_onnx import ArtifactError, InputError

for name in ("onnx", "scipy", "sentence_transformers", "transformers"):
    pytest.importorskip(name, reason=f"{name} of export/requirements.txt is not installed")

import torch
from sentence_transformers.sentence_transformer.modules import Dense
from tokenizers import Tokenizer

from export.__main__ import main
from tests.support import checkpoints
from tests.support.checkpoints import (
    MARKS,
    TEXTS,
    WIDTH,
    change,
    dense,
    exported,
    make,
    mpnets,
    unigram,
    wordpiece,
)

pytestmark = MARKS


@pytest.mark.parametrize(
    ("change_it", "words"),
    [
        (lambda folder: (folder / "model.safetensors").unlink(), "pickles are not read"),
        (
            lambda folder: change(
                folder / "config.json", {"activation_function": "torch.nn.modules.loss.MSELoss"}
            ),
            "activation_function = torch.nn.modules.loss.MSELoss",
        ),
        (
            lambda folder: change(
                folder / "config.json", {"module_input_name": "token_embeddings"}
            ),
            "module_input_name = token_embeddings",
        ),
    ],
)
def test_maps_that_are_not_known_are_refused(tmp_path: Path, change_it: Any, words: str) -> None:
    layers = (dense(WIDTH, 24, torch.nn.Tanh()),)
    checkpoint = make(tmp_path, "bert", wordpiece(True), dense=layers)
    change_it(checkpoint / "2_Dense")
    with pytest.raises(ArtifactError, match=words):
        exported(checkpoint)


def test_what_cannot_be_exported_is_refused_by_name(tmp_path: Path) -> None:
    checkpoint = make(tmp_path, "bert", wordpiece(True), more=(Dense(WIDTH, 16),))
    with pytest.raises(ArtifactError, match="got Transformer, Pooling, Normalize, Dense"):
        exported(checkpoint)
    folder = tmp_path / "other"
    folder.mkdir()
    with pytest.raises(ArtifactError, match="got neither"):
        exported(folder)
    with pytest.raises(InputError, match="a name of your own"):
        main(
            [
                *("--out", str(tmp_path / "out"), "--model", str(checkpoint)),
                *("--name", "sentence-transformers/all-MiniLM-L6-v2"),
            ]
        )
    with pytest.raises(InputError, match="expected a folder that sentence-transformers saved"):
        main(["--out", str(tmp_path / "out"), "--model", "some/model", "--name", "mine"])


CODE = "import pathlib\npathlib.Path({ran!r}).touch()\nclass Custom: pass\nPooling = Custom\n"
ROUTER = "sentence_transformers.base.modules.router.Router"


@pytest.mark.parametrize(
    "kind", ["custom.Custom", "custom.Pooling", ROUTER, "sentence_transformers.models.BoW"]
)
def test_code_in_a_folder_is_not_run(tmp_path: Path, plain: Path, kind: str) -> None:
    checkpoint = Path(shutil.copytree(plain, tmp_path / "checkpoint"))
    ran = tmp_path / "ran"
    for folder in (checkpoint, checkpoint / "1_Pooling"):
        (folder / "custom.py").write_text(CODE.format(ran=str(ran)))
        routes = {"types": {"a": "custom.Custom"}, "structure": {}}
        change(folder / "router_config.json", routes)
    modules = json.loads((checkpoint / "modules.json").read_text())
    modules[1]["type"] = kind
    (checkpoint / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(ArtifactError, match="code in a folder is not run"):
        exported(checkpoint)
    assert not ran.exists()


@pytest.mark.parametrize(
    ("name", "fields", "words"),
    [
        ("config.json", {"auto_map": {"AutoModel": "custom.Custom"}}, "no auto_map"),
        ("config.json", {"transformers_weights": "x.safetensors"}, "no transformers_weights"),
        ("config.json", {"quantization_config": {"bits": 4}}, "no quantization_config"),
        ("config.json", {"hidden_act": "relu"}, "hidden_act 'gelu'"),
        ("config.json", {"position_embedding_type": "relative_key"}, "position_embedding_type"),
        ("config.json", {"is_decoder": True}, "expected an encoder"),
        ("config.json", {"num_hidden_layers": 3}, "expected all weights"),
        ("config.json", {"pad_token_id": None}, "pad_token_id"),
        ("config.json", {"_attn_implementation": "some/kernel@main"}, "no _attn_implementation"),
        ("config.json", {"attn_implementation": "some/kernel"}, "no attn_implementation"),
        ("config.json", {"chunk_size_feed_forward": 2}, "no chunk_size_feed_forward"),
        ("tokenizer_config.json", {"truncation_side": "left"}, "truncation_side right"),
        ("tokenizer_config.json", {"split_special_tokens": True}, "no split_special_tokens"),
        ("tokenizer_config.json", {"auto_map": {"AutoTokenizer": ["c.C", None]}}, "no auto_map"),
        ("sentence_bert_config.json", {"model_args": {"weights_only": False}}, "model_args"),
        ("sentence_bert_config.json", {"tokenizer_name_or_path": "/x"}, "tokenizer_name"),
        ("sentence_bert_config.json", {"max_seq_length": 2}, "max_seq_length of 3 to 512"),
        ("config_sentence_transformers.json", {"truncate_dim": 16}, "no truncate_dim"),
        ("1_Pooling/config.json", {"include_prompt": False}, "include_prompt=False"),
        ("adapter_config.json", {"peft_type": "LORA"}, "one model.safetensors"),
        ("model.safetensors.index.json", {"weight_map": {}}, "one model.safetensors"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else None,
)
def test_what_is_not_known_is_refused_before_it_does_harm(
    tmp_path: Path, plain: Path, name: str, fields: dict[str, Any], words: str
) -> None:
    checkpoint = Path(shutil.copytree(plain, tmp_path / "checkpoint"))
    change(checkpoint / name, fields)
    with pytest.raises(ArtifactError, match=words):
        exported(checkpoint)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("text", ["5", "[5]", "{}", None])
def test_a_folder_without_a_list_of_modules_is_refused(
    tmp_path: Path, plain: Path, text: str | None
) -> None:
    checkpoint = Path(shutil.copytree(plain, tmp_path / "checkpoint"))
    (checkpoint / "modules.json").unlink()
    if text is not None:
        (checkpoint / "modules.json").write_text(text)
    with pytest.raises(ArtifactError, match=r"modules\.json: expected"):
        exported(checkpoint)


def test_a_transformer_elsewhere_is_refused(tmp_path: Path, plain: Path) -> None:
    checkpoint = Path(shutil.copytree(plain, tmp_path / "checkpoint"))
    modules = json.loads((checkpoint / "modules.json").read_text())
    modules[0]["path"] = "0_Transformer"
    (checkpoint / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(ArtifactError, match="expected the Transformer in the folder itself"):
        exported(checkpoint)


def test_mpnet_with_another_padding_is_refused(tmp_path: Path) -> None:
    checkpoint = make(tmp_path, "mpnet", mpnets())
    change(checkpoint / "config.json", {"pad_token_id": 0})
    with pytest.raises(ArtifactError, match="expected pad_token_id 1"):
        exported(checkpoint)


def test_a_tokenizer_of_more_tokens_than_rows_is_refused(tmp_path: Path, plain: Path) -> None:
    checkpoint = Path(shutil.copytree(plain, tmp_path / "checkpoint"))
    tokenizer = Tokenizer.from_file(str(checkpoint / "tokenizer.json"))
    tokenizer.add_tokens(["unheardof"])
    tokenizer.save(str(checkpoint / "tokenizer.json"))
    with pytest.raises(ArtifactError, match=r"expected at most \d+ tokens, one per word embedding"):
        exported(checkpoint)


def test_pickles_are_refused(tmp_path: Path, plain: Path) -> None:
    checkpoint = Path(shutil.copytree(plain, tmp_path / "checkpoint"))
    (checkpoint / "model.safetensors").rename(checkpoint / "pytorch_model.bin")
    with pytest.raises(ArtifactError, match=r"expected model\.safetensors"):
        exported(checkpoint)


def test_models_with_more_positions_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "POSITIONS", 600)
    checkpoint = make(tmp_path, "xlm-roberta", unigram(), limit=600)
    with pytest.raises(ArtifactError, match="max_seq_length of 3 to 512, got 600"):
        exported(checkpoint)


def test_a_shape_that_int8_cannot_take_is_refused_before_anything_is_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(checkpoints.SIZES, "num_attention_heads", 4)
    monkeypatch.setattr("minilm_onnx.making.steps.golden_texts", lambda *_: pytest.fail("too late"))
    checkpoint = make(tmp_path, "bert", wordpiece(True))
    texts = tmp_path / "texts.txt"
    texts.write_text("\n".join(TEXTS[:300]), "utf-8")
    with pytest.raises(ArtifactError, match=r"tiny: expected heads of 16, .* 4 heads of 8; take"):
        exported(checkpoint, "--precision", "int8", "--calibration", str(texts))
    assert not (tmp_path / "out").exists()
