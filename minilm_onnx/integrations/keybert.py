"""KeyBERT's embedding backend: `pip install '.[keybert]'`.

https://maartengr.github.io/KeyBERT/guides/embeddings.html#custom-backend
"""

from minilm_onnx.integrations import needing
from minilm_onnx.integrations.backend import Backend

with needing("keybert"):
    from keybert.backend import BaseEmbedder


class MiniLMBackend(Backend, BaseEmbedder):
    """Vectors for keywords: `KeyBERT(model=MiniLMBackend())`."""
