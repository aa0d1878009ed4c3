"""All that makes a text's vector, whoever read it of a checkpoint."""

from dataclasses import dataclass, replace

from tokenizers import Tokenizer

from minilm_onnx.engine.dense import Dense
from minilm_onnx.errors import ArtifactError
from minilm_onnx.making.checkpoint import Checkpoint
from minilm_onnx.making.forward import Weights
from minilm_onnx.making.tokenizer import build_tokenizer


@dataclass(frozen=True)
class Recipe:
    """All that makes a text's vector.

    Attributes:
        architecture: as transformers calls it.
        weights: of the encoder.
        tokenizer: without truncation and padding.
        max_seq_length: tokens read of a text.
        positions: tokens that could be.
        pooling: see `minilm_onnx.vectors.pooling.pool`.
        dense: maps of what pooling gives.
        normalize: whether vectors are scaled to length 1.
        prompts: what is put before texts, by name.
        default_prompt_name: "" for none.
        similarity_fn_name: how vectors are compared.
        unknown_token: "" for none.
    """

    architecture: str
    weights: Weights
    tokenizer: Tokenizer
    max_seq_length: int
    positions: int
    pooling: str
    dense: list[Dense]
    normalize: bool
    prompts: dict[str, str]
    default_prompt_name: str
    similarity_fn_name: str
    unknown_token: str

    @property
    def shape(self) -> tuple[int, int, float]:
        """Layers, heads, and what layer normalisation adds to a variance."""
        weights = self.weights
        return len(weights.layers), weights.heads, weights.embedding_norm.epsilon


def as_pinned(checkpoint: Checkpoint, recipe: Recipe) -> Recipe:
    """Hold what was read to what is pinned; give the recipe with the verified tokenizer.

    Raises:
        ArtifactError: files beside the official weights say what the official ones do not.
    """
    expected = checkpoint.pin.says
    found = {name: getattr(recipe, name) for name in expected}
    if found != expected:
        raise ArtifactError(
            f"{checkpoint.folder}: expected {expected} ({checkpoint.model_id}), got {found}; "
            f"{checkpoint.remedy}"
        )
    if not checkpoint.pin.revision or "tokenizer.json" in checkpoint.pin.sha256:
        return recipe
    # From the verified vocabulary, not from a file that nobody vouches for.
    return replace(recipe, tokenizer=build_tokenizer(checkpoint.folder / "vocab.txt"))
