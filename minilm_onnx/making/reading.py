"""What a sentence-transformers folder says, read of its files as sentence-transformers does."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
from safetensors import SafetensorError, safe_open

from minilm_onnx.arrays import FloatArray
from minilm_onnx.engine.dense import Dense
from minilm_onnx.errors import ArtifactError, shorten
from minilm_onnx.folder.files import check_file, read_json
from minilm_onnx.folder.finding import BUNDLED, packaged
from minilm_onnx.folder.manifest import MAX_TOKENS, MIN_TOKENS
from minilm_onnx.folder.small import CONFIG, read_pooling
from minilm_onnx.making.architectures import Config, of_encoder, read_weights
from minilm_onnx.making.checkpoint import Checkpoint
from minilm_onnx.making.folder import ACTIVATIONS, check_folder
from minilm_onnx.making.recipe import Recipe, as_pinned
from minilm_onnx.making.reference import ForwardReference
from minilm_onnx.making.tokenizer import TOKENIZER_CONFIG, lower, read_tokenizer, unknown_token
from minilm_onnx.vectors.similarity import Measure
from minilm_onnx.verify.golden import read_golden

WEIGHTS, SPECIAL = "model.safetensors", "special_tokens_map.json"
PROMPTS = "config_sentence_transformers.json"
# Prompts that sentence-transformers gives every model, empty unless the folder has others.
NO_PROMPTS = {"query": "", "document": ""}
# Types of numbers that a file of weights may have, without a loss in float32.
FLOATS = ("F32", "F16")


def read_folder(checkpoint: Checkpoint) -> Recipe:
    """Read how a model makes vectors.

    Raises:
        ArtifactError: it has something that the runtime does not know, or is not whole.
    """
    folder, name = checkpoint.folder, checkpoint.model_id
    modules = check_folder(folder)
    config = _object(folder / CONFIG)
    weights = read_weights(
        _read_tensors(folder / WEIGHTS, str(config.get("model_type"))), config, name
    )
    said = _object(folder / TOKENIZER_CONFIG)
    transformer = _transformer(folder)
    limit = transformer.get("max_seq_length")
    if limit is None:
        limit = said.get("model_max_length", math.inf)
    if type(limit) in (int, float):
        limit = min(limit, len(weights.positions))
    if type(limit) not in (int, float) or not MIN_TOKENS <= limit <= MAX_TOKENS:
        raise ArtifactError(
            f"{name}: expected a max_seq_length of {MIN_TOKENS} to {MAX_TOKENS}, got {limit}; set "
            "model.max_seq_length within that range, and save the model"
        )
    tokenizer = read_tokenizer(checkpoint, str(config["model_type"]), said)
    if transformer.get("do_lower_case"):
        lower(tokenizer)
    if tokenizer.get_vocab_size() > len(weights.words):
        raise ArtifactError(
            f"{name}: expected at most {len(weights.words)} tokens, one per word embedding, "
            f"got {tokenizer.get_vocab_size()}; save the model's own tokenizer beside it"
        )
    said_of_use = _object(folder / PROMPTS)
    prompts = {**NO_PROMPTS, **_prompts(folder / PROMPTS, said_of_use.get("prompts") or {})}
    width = weights.words.shape[1]
    (pooling,) = (path for kind, path in modules if kind == "Pooling")
    return Recipe(
        architecture=config["model_type"],
        weights=weights,
        tokenizer=tokenizer,
        max_seq_length=int(limit),
        positions=min(len(weights.positions), MAX_TOKENS),
        pooling=(modes := read_pooling(pooling / "config.json")),
        dense=_read_maps(
            [path for kind, path in modules if kind == "Dense"], width * len(modes.split("+"))
        ),
        normalize=modules[-1][0] == "Normalize",
        prompts=prompts,
        default_prompt_name=_one_of(
            folder / PROMPTS, said_of_use, "default_prompt_name", ("", *prompts)
        ),
        similarity_fn_name=_one_of(
            folder / PROMPTS, said_of_use, "similarity_fn_name", get_args(Measure)
        ),
        unknown_token=unknown_token([said, _object(folder / SPECIAL)], tokenizer),
    )


def _object(path: Path) -> Config:
    """Read a JSON object; a file that is not there says nothing."""
    if not path.exists():
        if path.name != CONFIG:
            return {}
        raise ArtifactError(
            f"{path}: expected the model's configuration, got nothing there; save the model again"
        )
    fields = read_json(path)
    if not isinstance(fields, dict):
        raise ArtifactError(
            f"{path}: expected a JSON object, got {type(fields).__name__}; save the model again"
        )
    return fields


def _transformer(folder: Path) -> Config:
    """Give what sentence_bert_config.json says, or its like of another architecture."""
    found = sorted(folder.glob("sentence_*_config.json"))
    return _object(found[0]) if found else {}


def _prompts(path: Path, prompts: Any) -> dict[str, str]:
    """Take prompts, of which each must be a text."""
    pairs = prompts.items() if isinstance(prompts, dict) else [("prompts", prompts)]
    found = {name: "" if prompt is None else prompt for name, prompt in pairs}
    wrong = {name: prompt for name, prompt in found.items() if not isinstance(prompt, str)}
    if wrong:
        raise ArtifactError(
            f"{path}: expected prompts as texts, got {shorten(str(wrong))}; save the model again"
        )
    return found


def _one_of(path: Path, fields: Config, name: str, known: Sequence[str]) -> str:
    """Take a field that has one of the known values; the first where it says nothing."""
    found = fields.get(name) or known[0]
    if found not in known:
        raise ArtifactError(
            f"{path}: expected a {name} of {', '.join(filter(None, known))}, got "
            f"{shorten(str(found))}; fix it"
        )
    return str(found)


def _read_tensors(path: Path, kind: str) -> dict[str, FloatArray]:
    """Read a file of weights, by the names of the encoder alone."""
    check_file(path)
    found = {}
    try:
        with safe_open(path, "np") as file:
            for key in file.keys():  # noqa: SIM118  it is no dictionary
                name = of_encoder(key, kind)
                if name.startswith("pooler.") or name.endswith("position_ids"):
                    continue
                stored = file.get_slice(key).get_dtype()
                if stored not in FLOATS:
                    raise ArtifactError(
                        f"{path}: expected numbers of {' or '.join(FLOATS)}, got {key} of "
                        f"{shorten(str(stored))}; save the model in float32"
                    )
                found[name] = file.get_tensor(key).astype(np.float32)
    except (SafetensorError, OSError, ValueError) as error:
        raise ArtifactError(
            f"{path}: expected weights as safetensors writes them, got {shorten(str(error))}; get "
            "the file again"
        ) from error
    return found


def _read_maps(folders: list[Path], width: int) -> list[Dense]:
    """Read the linear maps that follow pooling."""
    maps = []
    for folder in folders:
        fields = _object(folder / "config.json")
        tensors = _read_tensors(folder / WEIGHTS, "")
        weight = tensors.get("linear.weight", np.zeros((0, 0), dtype=np.float32))
        bias = tensors.get("linear.bias", np.zeros(len(weight), dtype=np.float32))
        if (
            weight.ndim != 2
            or weight.shape[1] != width
            or bias.shape != (len(weight),)
            or (("linear.bias" in tensors) != fields.get("bias", True))
        ):
            raise ArtifactError(
                f"{folder / WEIGHTS}: expected linear.weight of {width} inputs, and linear.bias "
                f"where config.json says so, got {weight.shape} and {bias.shape}; save the model "
                "again"
            )
        activation = fields.get("activation_function", "torch.nn.modules.activation.Tanh")
        maps.append(Dense(np.ascontiguousarray(weight.T), bias, ACTIVATIONS[activation]))
        width = len(bias)
    return maps


def read_model(checkpoint: Checkpoint) -> tuple[ForwardReference, Recipe]:
    """Read a checkpoint, and what its model folder is judged by; hold it to what is pinned.

    Raises:
        ArtifactError: as `read_folder`, and where files beside the official weights say what the
            official ones do not.
    """
    recipe = as_pinned(checkpoint, read_folder(checkpoint))
    golden = None
    if checkpoint.official:  # what the maintainer made with sentence-transformers is at hand
        golden = read_golden(packaged(BUNDLED), recipe.weights.words.shape[1])
    return ForwardReference(recipe, golden), recipe
