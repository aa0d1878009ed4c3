"""The keys of `minilm-onnx serve`: from a file, or the environment."""

import os
from pathlib import Path

from minilm_onnx.errors import InputError
from minilm_onnx.reading.lines import TextFile

KEYS = "MINILM_ONNX_API_KEYS"


def read_keys(path: Path | None) -> tuple[str, ...]:
    """Read the keys, which are never shown."""
    given = path is not None or KEYS in os.environ
    if path is None:
        words = os.environ.get(KEYS, "").split(",")
    else:
        try:
            with TextFile(str(path)) as file:
                words = list(file.lines())
        except InputError as error:
            raise InputError(f"--api-keys {error}") from error
    keys = tuple(word.strip() for word in words if word.strip())
    if given and not keys:
        where = (
            f"{KEYS}: expected keys separated by commas"
            if path is None
            else (f"--api-keys {path}: expected one key per line")
        )
        remedy = "unset it" if path is None else "leave the option out"
        raise InputError(f"{where}, got none; to require no key, {remedy}")
    return keys
