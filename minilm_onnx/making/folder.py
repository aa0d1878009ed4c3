"""What a sentence-transformers folder may hold before anything in it is loaded.

sentence-transformers and transformers run code of a local folder, unpickle, or read other weights
than model.safetensors, if its small files ask for it. Here they may ask for none of that.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from minilm_onnx.errors import ArtifactError, shorten
from minilm_onnx.folder.files import read_json
from minilm_onnx.folder.small import is_plain

# torch's names of what may follow a linear map, and the runtime's.
ACTIVATIONS = {
    "torch.nn.modules.linear.Identity": "identity",
    "torch.nn.modules.activation.Tanh": "tanh",
}
# Names of modules, in their order, each with a space behind it.
MODULES = re.compile(r"Transformer Pooling (Dense )*(Normalize )?")
# Of a Dense module's config.json: the values that each key may have; None for any.
DENSE: dict[str, tuple[Any, ...] | None] = {
    "in_features": None,
    "out_features": None,
    "bias": (True, False),
    "activation_function": tuple(ACTIVATIONS),
    "module_input_name": ("sentence_embedding",),
    "module_output_name": ("sentence_embedding",),
    "use_residual": (False,),
}
# Of a Normalize module's, which older versions do not write.
NORMALIZE: dict[str, tuple[Any, ...] | None] = {
    "module_input_name": ("sentence_embedding",),
    "module_output_name": ("sentence_embedding",),
}
# Of sentence_bert_config.json and its like: the values that each key may have; None for any.
TEXT = {"text": {"method": "forward", "method_output_name": "last_hidden_state"}}
TRANSFORMER: dict[str, tuple[Any, ...] | None] = {
    "max_seq_length": None,
    "do_lower_case": None,
    "transformer_task": ("feature-extraction",),
    "modality_config": (TEXT,),
    "module_output_name": ("token_embeddings",),
    "processing_kwargs": ({},),
    "model_args": ({},),
    "tokenizer_args": ({},),
    "config_args": ({},),
    "unpad_inputs": (False,),
}
# What asks for code, for other weights, or for what the runtime does not do; and what may be asked.
ATTENTION = ("eager", "sdpa")  # other names may be of code on the hub
FORBIDDEN: dict[str, dict[str, tuple[str, ...]]] = {
    "config.json": {
        "auto_map": (),
        "transformers_weights": (),
        "quantization_config": (),
        "chunk_size_feed_forward": (),
        "attn_implementation": ATTENTION,
        "_attn_implementation": ATTENTION,
    },
    "tokenizer_config.json": {"auto_map": (), "split_special_tokens": ()},
    "config_sentence_transformers.json": {"truncate_dim": ()},
}
OTHER_WEIGHTS = ("adapter_config.json", "model.safetensors.index.json")


def check_folder(folder: Path) -> list[tuple[str, Path]]:
    """Refuse a folder that brings code, pickles, other weights, or what is not known here.

    Returns:
        The name of each module, and its folder.

    Raises:
        ArtifactError: naming the file, what was expected and what is there.
    """
    modules = _check_modules(folder / "modules.json")
    for kind, module in modules:
        if kind == "Normalize" and (module / "config.json").is_file():
            _check_fields(module / "config.json", NORMALIZE)
        if kind != "Dense":
            continue
        _check_fields(module / "config.json", DENSE)
        weights = module / "model.safetensors"
        if not weights.is_file():
            raise ArtifactError(
                f"{weights}: expected the module's weights, got nothing there; pickles are not "
                "read: save the model with sentence-transformers 3 or newer"
            )
    for path in sorted(folder.glob("sentence_*config.json")):
        _check_fields(path, TRANSFORMER)
    for name, keys in FORBIDDEN.items():
        path = folder / name
        fields = _read(path) if path.is_file() else {}
        for key, allowed in keys.items():
            if fields.get(key) and fields[key] not in allowed:
                raise ArtifactError(
                    f"{path}: expected no {key}, got {shorten(str(fields[key]))}; code in a folder "
                    "is not run, and weights are those of model.safetensors, all of them"
                )
        if fields.get("truncation_side", "right") != "right":
            raise ArtifactError(
                f"{path}: expected truncation_side right, got {fields['truncation_side']!r}; the "
                "runtime keeps the first tokens"
            )
    for name in OTHER_WEIGHTS:
        if (folder / name).exists():
            raise ArtifactError(
                f"{folder / name}: expected one model.safetensors with all weights, got this "
                "beside it; merge them with sentence-transformers"
            )
    return modules


def _check_fields(path: Path, known: Mapping[str, tuple[Any, ...] | None]) -> None:
    for key, value in _read(path).items():
        allowed = known.get(key, ())
        if value is not None and allowed is not None and value not in allowed:
            raise ArtifactError(
                f"{path}: expected the usual values of {', '.join(known)}, got "
                f"{key} = {shorten(str(value))}; the runtime supports no other"
            )


def _check_modules(path: Path) -> list[tuple[str, Path]]:
    """Look at the list of modules; give the name of each and its folder."""
    if not path.is_file():
        raise ArtifactError(
            f"{path}: expected sentence-transformers' list of modules, got nothing there; save the "
            "model with SentenceTransformer(...).save_pretrained(...)"
        )
    fields = read_json(path)
    listed = fields if isinstance(fields, list) else []
    entries = [one if isinstance(one, dict) else {} for one in listed]
    kinds = [str(one.get("type")) for one in entries]
    names = [kind.rpartition(".")[2] for kind in kinds]
    own = all(kind.startswith("sentence_transformers.") for kind in kinds)
    if not MODULES.fullmatch("".join(f"{name} " for name in names)) or not own:
        got = shorten(", ".join(names if own else kinds)) or "none"
        raise ArtifactError(
            f"{path}: expected the modules Transformer, Pooling, then Dense or not, then Normalize "
            f"or not, of sentence-transformers itself, got {got}; no others "
            "are known here, and code in a folder is not run"
        )
    if entries[0].get("path", "") != "":
        raise ArtifactError(
            f"{path}: expected the Transformer in the folder itself, got "
            f"{shorten(str(entries[0]['path']))}; save the model again"
        )
    for one in entries[1:]:
        inner = one.get("path")
        if not is_plain(inner):
            raise ArtifactError(
                f"{path}: expected each module in a folder beside it, got {shorten(str(inner))}; "
                "save the model again"
            )
    return [
        (name, path.parent / str(one.get("path"))) for one, name in zip(entries, names, strict=True)
    ]


def _read(path: Path) -> Mapping[str, Any]:
    fields = read_json(path)
    if not isinstance(fields, dict):
        raise ArtifactError(f"{path}: expected a JSON object, got {type(fields).__name__}")
    return fields
