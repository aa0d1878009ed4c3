"""A model for MTEB: `pip install '.[mteb]'`, then `mteb.evaluate(MTEBEncoder(), tasks)`.

https://embeddings-benchmark.github.io/mteb/usage/defining_the_model/
"""

from collections.abc import Iterable, Mapping
from typing import Any

from minilm_onnx.arrays import FloatArray, Matrix, Vector
from minilm_onnx.integrations import needing, shared_encoder

with needing("mteb"):
    import mteb
    from mteb.models import ModelMeta
    from mteb.types import PromptType

MODEL = "sentence-transformers/all-MiniLM-L6-v2"


class MTEBEncoder:
    """An encoder with the interface of MTEB's EncoderProtocol."""

    def __init__(
        self,
        model_name: str | None = None,
        revision: str | None = None,
        *,
        device: str | None = None,
        threads: int | None = None,
    ) -> None:
        """Load the model.

        Args:
            model_name: a model folder; None for the bundled model.
            revision: ignored; the folder decides.
            device: ignored; the CPU is always used.
            threads: see `SentenceEncoder`.
        """
        self.encoder = shared_encoder(model_name, threads)

    def encode(
        self,
        inputs: Iterable[Mapping[str, Any]],
        *,
        task_metadata: Any,
        hf_split: str,
        hf_subset: str,
        prompt_type: Any = None,
        **kwargs: Any,
    ) -> Matrix:
        """Return (N, 384) float32 unit rows.

        Args:
            inputs: batches, each with a list of texts under "text".
            task_metadata: ignored.
            hf_split: ignored.
            hf_subset: ignored.
            prompt_type: whether the texts are queries or documents.
            kwargs: ignored: options such as batch_size, on which no vector depends.
        """
        texts = [text for batch in inputs for text in batch["text"]]
        if prompt_type == PromptType.query:
            return self.encoder.encode_query(texts)
        return self.encoder.encode_document(texts)

    def similarity(self, embeddings1: FloatArray, embeddings2: FloatArray) -> Matrix:
        """Compare every row of one array with every row of the other."""
        return self.encoder.similarity(embeddings1, embeddings2)

    def similarity_pairwise(self, embeddings1: FloatArray, embeddings2: FloatArray) -> Vector:
        """Compare each row of one array with the same row of the other."""
        return self.encoder.similarity_pairwise(embeddings1, embeddings2)

    @property
    def mteb_model_meta(self) -> ModelMeta:
        """MTEB's metadata of all-MiniLM-L6-v2, adapted to this encoder."""
        meta = mteb.get_model_meta(MODEL)
        name = f"minilm-onnx/{MODEL.partition('/')[2]}"
        changed = {
            "loader": None,
            "name": name,
            "revision": self.encoder.fingerprint,
            "framework": ["ONNX"],
            "max_tokens": self.encoder.max_seq_length,
            "adapted_from": MODEL,
        }
        return meta.model_copy(update=changed)
