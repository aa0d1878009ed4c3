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
    """Turns texts into vectors, as the first step of a Pipeline; there is nothing to fit.

    Texts may be a list, an array, a column of a table, or an iterable. A generator can be read only
    once, so use it with `fit_transform`, as with CountVectorizer.
    """

    def __init__(self, *, model: str | Path | None = None, threads: int | None = None) -> None:
        """Store the parameters.

        Args:
            model: see `SentenceEncoder`.
            threads: see `SentenceEncoder`.
        """
        self.model = model
        self.threads = threads

    def fit(self, X: Iterable[str], y: Any = None) -> "SentenceVectorizer":  # noqa: N803  # theirs
        """Check that the model exists and that X holds texts.

        Raises:
            InputError: X does not hold texts.
            ArtifactError: the model does not exist.
        """
        check_texts(_texts(X))
        shared_encoder(self.model, self.threads)
        return self

    def fit_transform(self, X: Iterable[str], y: Any = None) -> Matrix:  # noqa: N803  # theirs
        """Return the same as `transform`; X is read only once.

        Raises:
            InputError: X does not hold texts.
        """
        return shared_encoder(self.model, self.threads).encode(_texts(X))

    def transform(self, X: Iterable[str]) -> Matrix:  # noqa: N803  # their name
        """Return (N, 384) float32 unit rows.

        Raises:
            InputError: X does not hold texts.
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
