"""Sentence embeddings of all-MiniLM-L6-v2 on a CPU: no torch, no download, no padding."""

from minilm_onnx.encoder import SentenceEncoder
from minilm_onnx.errors import ArtifactError, InputError, MiniLMError, SessionError
from minilm_onnx.vectors import similarity

__version__ = "0.1.0"

__all__ = [
    "ArtifactError",
    "InputError",
    "MiniLMError",
    "SentenceEncoder",
    "SessionError",
    "__version__",
    "similarity",
]
