"""Semantic search over one's own texts, in one file."""

from minilm_onnx.index.contents import StoredPassage
from minilm_onnx.index.indexing import Outcome, index_paths
from minilm_onnx.index.ranking import Result
from minilm_onnx.index.textindex import Change, TextIndex

__all__ = ["Change", "Outcome", "Result", "StoredPassage", "TextIndex", "index_paths"]
