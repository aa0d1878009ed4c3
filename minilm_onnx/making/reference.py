"""What a model folder is judged by."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from tokenizers import Tokenizer

from minilm_onnx.arrays import FloatArray
from minilm_onnx.making.forward import hidden_states
from minilm_onnx.making.recipe import Recipe
from minilm_onnx.vectors.pooling import l2_normalize, pool
from minilm_onnx.verify.golden import GoldenTexts


class Reference(Protocol):
    """The model as another program computes it.

    Attributes:
        libraries: whose versions the manifest states for it.
        golden: what sentence-transformers made of the golden texts, where that is known already.
    """

    libraries: tuple[str, ...]
    golden: GoldenTexts | None

    def vectors(self, texts: Sequence[str]) -> FloatArray:
        """Embed texts, (N, H) float32, of whatever length the model gives them."""

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Give the token ids of which it makes vectors."""


class ForwardReference:
    """The forward pass of `forward.py`, in float64: no graph, no onnxruntime, no native operators.

    Tests hold it to sentence-transformers, to 1e-5 of a vector's length.
    """

    libraries: tuple[str, ...] = ()

    def __init__(self, recipe: Recipe, golden: GoldenTexts | None = None) -> None:
        """Take a model as it was read of its folder, and its golden values if there are some."""
        self.golden = golden
        self._recipe = recipe
        self._tokenizer = Tokenizer.from_str(recipe.tokenizer.to_str())
        self._tokenizer.enable_truncation(recipe.max_seq_length)

    def vectors(self, texts: Sequence[str]) -> FloatArray:
        """Embed texts, (N, H) float32, of whatever length the model gives them."""
        recipe = self._recipe
        prompt = recipe.prompts.get(recipe.default_prompt_name, "")
        hidden = (
            hidden_states(recipe.weights, np.array(ids, dtype=np.int64)).astype(np.float32)
            for ids in self.ids([prompt + text for text in texts])
        )
        found = np.concatenate([pool(rows[None], recipe.pooling) for rows in hidden])
        for dense in recipe.dense:
            found = dense(found)
        return l2_normalize(found) if recipe.normalize else found

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Give the token ids of which it makes vectors, without the default prompt."""
        return [self._tokenizer.encode(text).ids for text in texts]
