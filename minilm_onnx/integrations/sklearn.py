"""A scikit-learn transformer: `pip install 'minilm-onnx[sklearn]'`.

https://scikit-learn.org/stable/developers/develop.html
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from minilm_onnx.arrays import Matrix
from minilm_onnx.errors import InputError
from minilm_onnx.integrations import needing, shared_encoder

with needing("sklearn"):
    from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin


class SentenceVectorizer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Texts to vectors, as the first step of a Pipeline; there is nothing to fit."""

    def __init__(self, *, model: str | None = None, threads: int | None = None) -> None:
        """Keep the parameters.

        Args:
            model: see `SentenceEncoder`.
            threads: likewise.
        """
        self.model = model
        self.threads = threads

    def fit(self, X: Sequence[str], y: Any = None) -> "SentenceVectorizer":  # noqa: N803  # theirs
        """Check that the model is there and that these are texts.

        Raises:
            InputError: they are none.
        """
        _texts(X)
        self._n_features_out = shared_encoder(self.model, self.threads).dimension
        return self

    def transform(self, X: Sequence[str]) -> Matrix:  # noqa: N803  # their name
        """Give (N, 384) float32 unit rows.

        Raises:
            InputError: these are no texts.
        """
        return shared_encoder(self.model, self.threads).encode(_texts(X))

    def __sklearn_is_fitted__(self) -> bool:
        """Always: nothing is learned."""
        return True

    def __sklearn_tags__(self) -> Any:
        """Say that it takes a column of str and needs no fit."""
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        tags.requires_fit = False
        tags.transformer_tags.preserves_dtype = []
        return tags


def _texts(given: Any) -> list[str]:
    """Give the texts of a list, an array, or a column of a table."""
    if isinstance(given, str):
        raise InputError("X: expected a list of texts, got one str; put it in a list")
    if np.ndim(given) > 1:
        raise InputError(f"X: expected one axis of texts, got {np.ndim(given)}; choose a column")
    return list(given)
