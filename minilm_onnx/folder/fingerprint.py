"""The name of all that vectors depend on."""

import hashlib
from collections.abc import Mapping

from minilm_onnx.errors import InputError
from minilm_onnx.folder.artifact import Artifact
from minilm_onnx.folder.layout import GOLDEN
from minilm_onnx.folder.manifest import Manifest


def fingerprint_of(
    artifact: Artifact,
    max_seq_length: int,
    prompts: Mapping[str, str],
    default_prompt_name: str | None,
    truncate_dim: int | None = None,
) -> str:
    """Name what vectors depend on: weights, recipe, precision, tokens read, pooling.

    Args:
        artifact: the model folder.
        max_seq_length: tokens read of a text.
        prompts: what is put before texts, by name.
        default_prompt_name: the prompt of texts that are given none.
        truncate_dim: components kept of a vector; None for all.

    Returns:
        The model's name, its precision, the tokens read, and 16 digits of a sha256.
    """
    parts = [
        f"{name}={digest}" for name, digest in sorted(artifact.sha256.items()) if name != GOLDEN
    ]
    parts += [
        f"max_seq_length={max_seq_length}",
        f"pooling={artifact.pooling}",
        f"normalize={str(artifact.normalize).lower()}",
    ]
    parts += [f"prompt:{name}={text}" for name, text in sorted(prompts.items()) if text]
    if default_prompt_name:
        parts.append(f"default_prompt={default_prompt_name}")
    if truncate_dim is not None:
        parts.append(f"truncate_dim={truncate_dim}")
    digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
    name, precision = name_and_precision(artifact.manifest)
    return f"{name}:{precision}:{max_seq_length}:{digest}"


def name_and_precision(manifest: Manifest | None) -> tuple[str, str]:
    """Give a model's name without its owner, and its precision, as far as these are known."""
    if manifest is None:
        return "unknown", "unknown"
    return manifest.model_id.rpartition("/")[2], manifest.precision


def check_same(kept: str, own: str) -> None:
    """Raise InputError unless vectors with a fingerprint are an encoder's own."""
    if kept != own:
        raise InputError(
            f"fingerprint: expected {own}, this encoder's, got {kept!r}; "
            "embed the texts again, or load the model that made the vectors"
        )
