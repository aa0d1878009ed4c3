"""Bridges to other software, a file or folder each; none is imported unless it is asked for."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from minilm_onnx.arguments import is_table, listed
from minilm_onnx.encoder import SentenceEncoder
from minilm_onnx.errors import InputError, describe, installing
from minilm_onnx.folder.finding import find_folder

T = TypeVar("T")  # a str, or None where there may be none


@contextmanager
def needing(extra: str) -> Iterator[None]:
    """Say what to install where an import in the block fails.

    Raises:
        ImportError: it does; frameworks look for that where a bridge cannot be imported.
    """
    try:
        yield
    except ImportError as error:
        raise ImportError(
            f"{extra}: expected its packages, got: {error}; {installing(extra)}",
            name=error.name,
        ) from error


def shared_encoder(model: str | Path | None = None, threads: int | None = None) -> SentenceEncoder:
    """Give this process' encoder of a model folder; frameworks make and remake what holds one.

    Args:
        model: a folder; None for the bundled model.
        threads: see `SentenceEncoder`.

    Raises:
        ArtifactError: the folder is no model.
        InputError: model is no path, or threads no positive integer.
    """
    # A cache tells (None, None) from no arguments, and "model" from Path("model").
    return _shared_encoder(absolute(model), threads)


@lru_cache(maxsize=8)
def _shared_encoder(model: str | None, threads: int | None) -> SentenceEncoder:
    return SentenceEncoder(model, threads=threads)


def absolute(model: str | Path | None) -> str | None:
    """Name a model folder as it is found from everywhere; None stays the bundled model.

    Raises:
        InputError: it is no path.
    """
    if model is not None and not isinstance(model, str | Path):
        raise InputError(f"model: expected a folder's path or None, got {describe(model)}")
    return None if model is None else str(find_folder(model).resolve())


def as_list(name: str, texts: Iterable[T]) -> list[T]:
    """Make a list of the texts that a framework hands over, whatever holds them.

    Args:
        name: what the framework calls them, for the error.
        texts: one str is not taken for a list of its letters.

    Raises:
        InputError: it is a str, or nothing that holds texts.
    """
    if isinstance(texts, str | bytes) or is_table(texts) or not isinstance(texts, Iterable):
        raise InputError(
            f"{name}: expected a list of texts, got {describe(texts)}; "
            "give a list, for one text too, or one column of a table"
        )
    found = listed(texts)  # Arrow's arrays give no str
    return list(texts) if found is None else found
