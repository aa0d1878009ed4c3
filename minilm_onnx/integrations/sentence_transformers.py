"""A SentenceTransformer that runs on this package: extra `[sentence-transformers]`.

For software that wants an object of that class and no other. It needs torch, for its tensors alone.
https://sbert.net/docs/sentence_transformer/usage/custom_models.html
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from minilm_onnx import SentenceEncoder
from minilm_onnx.arguments import put_before
from minilm_onnx.integrations import absolute, needing

with needing("sentence-transformers"):
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import InputModule


class MiniLM(InputModule):
    """The one module of the model: texts in, unit vectors out; nothing is padded."""

    config_keys: ClassVar = ["model", "threads", "max_seq_length"]

    def __init__(
        self,
        model: str | None = None,
        threads: int | None = None,
        max_seq_length: int | None = None,
    ) -> None:
        """Load the model; see `SentenceEncoder`. None for the tokens that it reads anyway."""
        super().__init__()
        self.model, self.threads = model, threads
        self.encoder = SentenceEncoder(model, threads=threads)
        if max_seq_length is not None:
            self.encoder.max_seq_length = max_seq_length
        self.tokenizer = self.encoder.tokenizer

    def preprocess(
        self, inputs: Sequence[str], prompt: str | None = None, **options: Any
    ) -> dict[str, Any]:
        """Hand the texts on; the encoder tokenises."""
        return {"texts": put_before(prompt or "", inputs)}

    def forward(self, features: dict[str, Any], **options: Any) -> dict[str, Any]:
        """Add `sentence_embedding`, (N, 384) float32."""
        vectors = self.encoder.encode(features["texts"], prompt="")  # they have theirs already
        return {**features, "sentence_embedding": torch.from_numpy(vectors)}

    @property
    def max_seq_length(self) -> int:
        """Tokens read of a text; may be set."""
        return self.encoder.max_seq_length

    @max_seq_length.setter
    def max_seq_length(self, value: int) -> None:
        self.encoder.max_seq_length = value

    def get_embedding_dimension(self) -> int:
        """Give 384."""
        return self.encoder.dimension

    def save(self, output_path: str, *args: Any, **options: Any) -> None:
        """Write which model it is; the bundled one needs no files."""
        self.save_config(output_path)


def sentence_transformer(
    model: str | Path | None = None, *, threads: int | None = None
) -> SentenceTransformer:
    """Make a SentenceTransformer that runs on this package, on the CPU.

    Args:
        model: a model folder; None for the bundled model.
        threads: see `SentenceEncoder`.

    Raises:
        ArtifactError: the folder is not a model folder.
    """
    module = MiniLM(absolute(model), threads)
    encoder = module.encoder
    return SentenceTransformer(
        modules=[module],
        device="cpu",
        prompts=dict(encoder.prompts),
        default_prompt_name=encoder.default_prompt_name,
        similarity_fn_name=encoder.similarity_fn_name,
    )
