"""BERTopic's embedding backend: `pip install '.[bertopic]'`.

https://maartengr.github.io/BERTopic/getting_started/embeddings/embeddings.html#custom-backend
"""

from minilm_onnx.integrations import needing
from minilm_onnx.integrations.backend import Backend

with needing("bertopic"):
    from bertopic.backend import BaseEmbedder


class MiniLMBackend(Backend, BaseEmbedder):
    """Vectors for topics: `BERTopic(embedding_model=MiniLMBackend())`."""
