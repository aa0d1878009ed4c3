"""A scikit-learn transformer: `pip install '.[sklearn]'`.

https://scikit-learn.org/stable/developers/develop.html
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from minilm_onnx.arrays import Matrix
from minilm_onnx.errors import InputError
from minilm_onnx.integrations import as_list, needing, shared_encoder
from minilm_onnx.text.tokens import check_texts

with needing("sklearn"):
    from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin


class SentenceVectorizer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Texts to vectors, as the first step of a Pipeline; there is nothing to fit.

    Texts are a list, an array, a column of a table, or what gives them one by one: a generator is
    at its end after one call, so it is for `fit_transform`, as it is with CountVectorizer.
    """

    def __init__(self, *, model: str | Path | None = None, threads: int | None = None) -> None:
        """Keep the parameters.

        Args:
            model: see `SentenceEncoder`.
            threads: likewise.
        """
        self.model = model
        self.threads = threads

    def fit(self, X: Iterable[str], y: Any = None) -> "SentenceVectorizer":  # noqa: N803  # theirs
        """Check that the model is there and that these are texts.

        Raises:
            InputError: they are none.
            ArtifactError: the model is not there.
        """
        check_texts(_texts(X))
        shared_encoder(self.model, self.threads)
        return self

    def fit_transform(self, X: Iterable[str], y: Any = None) -> Matrix:  # noqa: N803  # theirs
        """Give what `transform` gives; X is gone through once.

        Raises:
            InputError: these are no texts.
        """
        return shared_encoder(self.model, self.threads).encode(_texts(X))

    def transform(self, X: Iterable[str]) -> Matrix:  # noqa: N803  # their name
        """Give (N, 384) float32 unit rows.

        Raises:
            InputError: these are no texts.
        """
        return shared_encoder(self.model, self.threads).encode(_texts(X))

    @property
    def _n_features_out(self) -> int:
        """What scikit-learn numbers the columns by."""
        return shared_encoder(self.model, self.threads).dimension

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
    # Not np.ndim, which makes an array of a list: every text as wide as the longest.
    axes = getattr(given, "ndim", 1)
    if axes != 1:
        raise InputError(f"X: expected one axis of texts, got {axes}; choose a column")
    return as_list("X", given)
