"""Semantic search over one's own texts, in one file."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from minilm_onnx.index.contents import StoredPassage
    from minilm_onnx.index.indexing import Outcome, index_paths
    from minilm_onnx.index.results import Hybrid, Result
    from minilm_onnx.index.textindex import Change, TextIndex

__all__ = ["Change", "Hybrid", "Outcome", "Result", "StoredPassage", "TextIndex", "index_paths"]

# Loaded when asked for: the command line, whose options name the kinds of storage, starts sooner.
MODULES = {
    "Change": "textindex",
    "Hybrid": "results",
    "Outcome": "indexing",
    "Result": "results",
    "StoredPassage": "contents",
    "TextIndex": "textindex",
    "index_paths": "indexing",
}


def __getattr__(name: str) -> Any:
    if name not in MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{MODULES[name]}"), name)
