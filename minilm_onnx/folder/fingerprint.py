"""The name of all that vectors depend on."""

import hashlib
from collections.abc import Mapping

from minilm_onnx.folder.artifact import Artifact
from minilm_onnx.folder.layout import GOLDEN


def fingerprint_of(
    artifact: Artifact,
    max_seq_length: int,
    prompts: Mapping[str, str],
    default_prompt_name: str | None,
) -> str:
    """Name what vectors depend on: weights, recipe, precision, tokens read, pooling.

    Args:
        artifact: the model folder.
        max_seq_length: tokens read of a text.
        prompts: what is put before texts, by name.
        default_prompt_name: the prompt of texts that are given none.

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
    digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
    manifest = artifact.manifest
    name = manifest.model_id.rpartition("/")[2] if manifest else "unknown"
    precision = manifest.precision if manifest else "unknown"
    return f"{name}:{precision}:{max_seq_length}:{digest}"
