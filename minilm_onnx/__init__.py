"""Sentence embeddings of all-MiniLM-L6-v2 on a CPU: no torch, no download, no padding."""

from minilm_onnx.encoder import SentenceEncoder
from minilm_onnx.errors import ArtifactError, DatabaseError, InputError, MiniLMError, SessionError
from minilm_onnx.vectors.grouping import community_detection, near_duplicates
from minilm_onnx.vectors.mining import paraphrase_mining, paraphrase_mining_embeddings
from minilm_onnx.vectors.quantization import (
    dequantize_embeddings,
    quantize_embeddings,
    ranges_of,
    truncate_embeddings,
)
from minilm_onnx.vectors.search import semantic_search, semantic_search_quantized
from minilm_onnx.vectors.similarity import similarity, similarity_pairwise

__version__ = "0.1.0"

__all__ = [
    "ArtifactError",
    "DatabaseError",
    "InputError",
    "MiniLMError",
    "SentenceEncoder",
    "SessionError",
    "__version__",
    "community_detection",
    "dequantize_embeddings",
    "near_duplicates",
    "paraphrase_mining",
    "paraphrase_mining_embeddings",
    "quantize_embeddings",
    "ranges_of",
    "semantic_search",
    "semantic_search_quantized",
    "similarity",
    "similarity_pairwise",
    "truncate_embeddings",
]
