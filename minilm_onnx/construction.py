"""What `SentenceEncoder` takes when it is made because `SentenceTransformer` does.

What changes nothing here is accepted, what cannot be had is refused; docs/encode.md has the table.
https://sbert.net/docs/package_reference/sentence_transformer/model.html
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict

from minilm_onnx.checks import check_choice
from minilm_onnx.errors import InputError, describe, shown
from minilm_onnx.folder.artifact import Artifact, load_artifact
from minilm_onnx.folder.finding import find_folder

# Their default is "torch"; whoever hands all defaults on asks for nothing.
BACKENDS = ("torch", "onnx")
# What their dictionaries may ask for; None for anything, since it changes no vector here.
ANY = None
SHORTEST_COMMIT = 7
DTYPES = ("auto", "float32")
LOADING: dict[str, tuple[object, ...] | None] = {
    "cache_dir": ANY,
    "local_files_only": ANY,
    "token": ANY,
    "trust_remote_code": ANY,
}
KWARGS = {
    "model_kwargs": {
        **LOADING,
        "attn_implementation": ANY,
        "device_map": ("auto", "cpu"),
        "dtype": DTYPES,
        "export": ANY,
        "low_cpu_mem_usage": ANY,
        "provider": ("CPUExecutionProvider",),
        "torch_dtype": DTYPES,
        "use_safetensors": ANY,
        "weights_only": ANY,
    },
    "processor_kwargs": {
        **LOADING,
        "clean_up_tokenization_spaces": ANY,
        "model_max_length": ANY,  # see `limit_asked`
        "padding_side": ANY,
        "truncation_side": ("right",),
        "use_fast": (True,),
    },
    "config_kwargs": LOADING,
}
KWARGS["tokenizer_kwargs"] = KWARGS["processor_kwargs"]  # the older name


class TheirOptions(TypedDict, total=False):
    """Arguments of `SentenceTransformer`; those behind the first four change nothing here."""

    prompts: Mapping[str, str] | None
    default_prompt_name: str | None
    similarity_fn_name: Any
    truncate_dim: int | None
    model_name_or_path: str | Path | None
    device: Any
    backend: str
    revision: str | None
    cache_folder: str | Path | None
    trust_remote_code: bool
    local_files_only: bool
    token: bool | str | None
    use_auth_token: bool | str | None
    model_kwargs: Mapping[str, Any] | None
    processor_kwargs: Mapping[str, Any] | None
    tokenizer_kwargs: Mapping[str, Any] | None
    config_kwargs: Mapping[str, Any] | None
    model_card_data: Any
    modules: None


def load_asked(model: str | Path | None, given: Mapping[str, Any]) -> Artifact:
    """Find the model folder, and refuse what cannot be had.

    Args:
        model: see `find_folder`.
        given: see `TheirOptions`.

    Raises:
        TypeError: an argument is known to neither.
        InputError: with what to do instead.
        ArtifactError: see `load_artifact`.
    """
    for name in given:
        if name not in TheirOptions.__annotations__:
            raise TypeError(f"SentenceEncoder() got an unexpected keyword argument {name!r}")
    named = given.get("model_name_or_path")
    if model is not None and named is not None:
        raise InputError(
            f"model_name_or_path: expected None beside model, got {shown(named)}; give one of them"
        )
    model = named if model is None else model
    if model is not None and not isinstance(model, str | Path):
        raise InputError(f"model: expected a folder's path or None, got {describe(model)}")
    check_device(given.get("device"))
    check_choice("backend", given.get("backend", "onnx"), BACKENDS)
    if given.get("modules") is not None:
        raise InputError(
            f"modules: expected None, got {describe(given['modules'])}; save the model, then "
            "`minilm-onnx export FOLDER --out DIR`"
        )
    for name, known in KWARGS.items():
        _check_kwargs(name, given.get(name), known)
    artifact = load_artifact(find_folder(model))
    _check_revision(given.get("revision"), artifact)
    return artifact


def check_device(device: Any) -> None:
    """Raise InputError unless a device is the CPU, by one of its names or as torch's object."""
    kind = getattr(device, "type", device)
    if kind is not None and not (isinstance(kind, str) and kind in ("cpu", "cpu:0")):
        raise InputError(f"device: expected None or 'cpu', got {shown(device)}; this runs on CPUs")


def settings_asked(given: Mapping[str, Any], prompts: Mapping[str, str]) -> dict[str, Any]:
    """Give what an encoder is to be set to, by the attribute's name.

    Args:
        given: see `TheirOptions`.
        prompts: the model's own; the caller's take the place of those of the same names.

    Raises:
        InputError: the caller's are no dict of str, or there is none of the default's name.
    """
    names = ("default_prompt_name", "similarity_fn_name", "truncate_dim")
    found = {name: given[name] for name in names if given.get(name) is not None}
    prompts = {**prompts, **checked_prompts(given.get("prompts"))}
    if "default_prompt_name" in found:
        check_choice("default_prompt_name", found["default_prompt_name"], list(prompts))
    for name in ("tokenizer_kwargs", "processor_kwargs"):
        limit = (given.get(name) or {}).get("model_max_length")
        found |= {} if limit is None else {"max_seq_length": limit}
    return {**found, "prompts": prompts}


def _check_revision(asked: Any, artifact: Artifact) -> None:
    """Refuse a revision that is not the model's; "main" is whichever is there."""
    there = artifact.manifest.revision if artifact.manifest else ""
    commit = isinstance(asked, str) and len(asked) >= SHORTEST_COMMIT and there.startswith(asked)
    if asked is not None and asked != "main" and not commit:
        raise InputError(
            f"revision: expected None or {there or 'nothing else'}, as recorded in "
            f"{artifact.folder}, got {shown(asked)}; export that revision, since nothing is "
            "downloaded"
        )


def checked_prompts(given: Any) -> Mapping[str, str]:
    """Give prompts by their names, {} for None; raise InputError unless they are a dict of str."""
    if given is not None and not isinstance(given, Mapping):
        raise InputError(f"prompts: expected a dict of str or None, got {describe(given)}")
    prompts = given or {}
    for name, prompt in prompts.items():
        if not isinstance(name, str) or not isinstance(prompt, str):
            raise InputError(
                f"prompts: expected a str under each name, got {shown(name)}: {shown(prompt)}; "
                "use '' for none"
            )
    return prompts


def _check_kwargs(name: str, given: Any, known: Mapping[str, tuple[object, ...] | None]) -> None:
    if given is None:
        return
    if not isinstance(given, Mapping):
        raise InputError(f"{name}: expected a dict or None, got {describe(given)}")
    for key, value in given.items():
        allowed = known.get(key, ())
        # torch.float32 is a name, too.
        plain = str(value).removeprefix("torch.") if "dtype" in str(key) else value
        if value is not None and allowed is not None and plain not in allowed:
            instead = "; with an fp32 folder on Arm, give bf16=True" if plain == "bfloat16" else ""
            raise InputError(
                f"{name}: expected only {', '.join(known) or 'nothing'}, with default values, "
                f"got {shown(key)}: {shown(value)}; leave it out{instead}"
            )
