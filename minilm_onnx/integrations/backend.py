"""What BERTopic's and KeyBERT's backends have in common: all but the class they derive from."""

from collections.abc import Sequence
from pathlib import Path

from minilm_onnx.arrays import Matrix
from minilm_onnx.integrations import as_list, shared_encoder


class Backend:
    """A mixin that comes before a framework's BaseEmbedder in the list of bases."""

    def __init__(self, *, model: str | Path | None = None, threads: int | None = None) -> None:
        """Load the model; see `SentenceEncoder`."""
        super().__init__()
        self.embedding_model = shared_encoder(model, threads)

    def embed(self, documents: Sequence[str], verbose: bool = False) -> Matrix:
        """Return (N, 384) float32 unit rows.

        Args:
            documents: N texts.
            verbose: whether to show a progress bar.

        Raises:
            InputError: `documents` is a str, or one of its items is not a text.
        """
        texts = as_list("documents", documents)
        return self.embedding_model.encode(texts, show_progress_bar=verbose)
