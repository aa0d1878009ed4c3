"""Patterns of sources, such as `--source 'notes/*.md'`, as SQL."""

import os
import posixpath
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from minilm_onnx.errors import InputError, shorten

# The SQL function that puts a name in one form: "é" is one character on one disk, two on another.
COMPOSED = "composed"


def composed(*values: Any) -> Any:
    """Give a name in Unicode's form NFC; what is no text stays."""
    (name,) = values
    return unicodedata.normalize("NFC", name) if isinstance(name, str) else name


def fitting(patterns: Sequence[str]) -> tuple[str, dict[str, str]]:
    """Give the SQL for a source that fits one of some patterns, and its parameters.

    A pattern may stand for the source or for a folder that holds it, and begin at any folder.

    Raises:
        InputError: one leads out of the current folder, which is gone.
    """
    clauses = [
        f"{COMPOSED}(sources.name) GLOB {before}:s{number}{behind}"
        for number in range(len(patterns))
        for before in ("", "'*/' || ")
        for behind in ("", " || '/*'")
    ]
    return " OR ".join(clauses), {f"s{n}": _glob(pattern) for n, pattern in enumerate(patterns)}


def _glob(pattern: str) -> str:
    """Give a pattern as SQLite's GLOB has it: of a path without ".", ".." and a slash at its end.

    Brackets stand for themselves, since they stand in names; GLOB has sets of characters there.
    """
    path = unicodedata.normalize("NFC", pattern).replace(os.sep, "/").rstrip("/")
    if {".", ".."} & set(path.split("/")):  # others may be names that are no paths, as https://...
        path = posixpath.normpath(path)
    if path.split("/")[0] in (".", ".."):
        try:
            path = posixpath.normpath(f"{Path.cwd().as_posix()}/{path}")
        except OSError as error:
            raise InputError(
                f"source {shorten(pattern)}: expected a current folder to start from, got "
                f"{error.strerror}; cd to another, or give the whole path"
            ) from error
    return path.replace("[", "[[]")
