"""A plugin of the `llm` command: `llm install '.[llm]'`, then `llm embed -m all-minilm`.

https://llm.datasette.io/en/stable/embeddings/writing-plugins.html
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from minilm_onnx.integrations import needing, shared_encoder

with needing("llm"):
    import llm


class MiniLMModel(llm.EmbeddingModel):
    """The bundled model, as `llm` sees it."""

    model_id = "minilm-onnx"
    batch_size = 256

    def embed_batch(self, items: Iterable[str | bytes]) -> Iterator[list[float]]:
        """Give 384 floats for each text."""
        texts = [item for item in items if isinstance(item, str)]  # llm refuses bytes itself
        return iter(shared_encoder().encode(texts, normalize_embeddings=True).tolist())


@llm.hookimpl
def register_embedding_models(register: Callable[..., Any]) -> None:
    """Tell `llm` of the model."""
    register(MiniLMModel(), aliases=("all-minilm", "all-MiniLM-L6-v2"))
