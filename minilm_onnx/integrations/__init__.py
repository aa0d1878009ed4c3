"""Bridges to other software, one file each; none is imported unless it is asked for."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

from minilm_onnx.encoder import SentenceEncoder


@contextmanager
def needing(extra: str) -> Iterator[None]:
    """Say what to install where an import in the block fails."""
    try:
        yield
    except ImportError as error:
        raise ImportError(
            f"{extra}: expected its packages, got: {error}; pip install 'minilm-onnx[{extra}]'",
            name=error.name,
        ) from error


@lru_cache(maxsize=8)
def shared_encoder(model: str | None = None, threads: int | None = None) -> SentenceEncoder:
    """Give this process' encoder of a model folder; frameworks make and remake what holds one.

    Args:
        model: a folder; None for the bundled model.
        threads: see `SentenceEncoder`.

    Raises:
        ArtifactError: the folder is no model.
    """
    return SentenceEncoder(model, threads=threads)
