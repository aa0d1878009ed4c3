"""scikit-learn's own check_estimator, and Pipelines."""

import pickle
from typing import Any

import numpy as np
import pytest

from minilm_onnx import InputError, SentenceEncoder

pytest.importorskip("sklearn", reason="scikit-learn is not installed")

from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression
from sklearn.metrics.pairwise import cosine_similarity
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator

from minilm_onnx.integrations.sklearn import SentenceVectorizer

PETS = ["my cat sleeps all day", "the dog barks at night", "a kitten and a puppy play"]
MONEY = ["the bank raised its rates", "he paid the loan back", "my account is empty"]


@pytest.mark.filterwarnings("ignore:Can't test estimator")
def test_scikit_learns_own_checks() -> None:
    """Those for estimators of texts; most are about numbers, and scikit-learn leaves them out."""
    found = check_estimator(SentenceVectorizer(), on_skip=None)
    assert found
    assert {one["status"] for one in found} <= {"passed", "skipped"}


def test_vectors_are_those_of_encode(encoder: SentenceEncoder) -> None:
    made = SentenceVectorizer(threads=1)
    expected = encoder.encode(PETS)
    kinds: list[Any] = [PETS, tuple(PETS), np.array(PETS), np.array(PETS, dtype=object)]
    for given in kinds:
        assert np.array_equal(made.fit_transform(given), expected)
    assert np.array_equal(SentenceVectorizer().transform(PETS), expected)  # nothing to fit
    assert np.array_equal(pickle.loads(pickle.dumps(clone(made))).transform(PETS), expected)
    names = made.get_feature_names_out()
    assert (len(names), names[0]) == (384, "sentencevectorizer0")
    wrong: list[Any] = ["a cat", np.array([PETS]), [1, 2], None]
    for given in wrong:
        with pytest.raises((InputError, TypeError)):
            made.transform(given)


def test_a_column_of_a_table(encoder: SentenceEncoder) -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    table = pandas.DataFrame({"text": PETS})
    assert np.array_equal(SentenceVectorizer().transform(table["text"]), encoder.encode(PETS))
    with pytest.raises(InputError, match="one axis"):
        SentenceVectorizer().transform(table)


def test_pipelines_classify_and_cluster() -> None:
    model = make_pipeline(SentenceVectorizer(), LogisticRegression())
    model.fit(PETS + MONEY, [0, 0, 0, 1, 1, 1])
    assert list(model.predict(["a hamster in its cage", "interest on savings"])) == [0, 1]
    groups = make_pipeline(SentenceVectorizer(), KMeans(2, random_state=0)).fit_predict(
        PETS + MONEY
    )
    assert len(set(groups[:3])) == len(set(groups[3:])) == 1
    assert groups[0] != groups[3]
    vectors = SentenceVectorizer().fit_transform(PETS + MONEY)
    scores = cosine_similarity(vectors)
    np.testing.assert_allclose(scores, vectors @ vectors.T, atol=1e-6)


def test_a_generator_is_gone_through_once(encoder: SentenceEncoder) -> None:
    expected = encoder.encode(PETS)
    made = SentenceVectorizer()
    assert np.array_equal(made.fit_transform(text for text in PETS), expected)
    assert np.array_equal(made.transform(text for text in PETS), expected)
    assert np.array_equal(made.fit(iter(PETS)).transform(PETS), expected)
    model = make_pipeline(SentenceVectorizer(), LogisticRegression())
    model.fit((text for text in PETS + MONEY), [0, 0, 0, 1, 1, 1])
    assert list(model.predict(iter(["a hamster in its cage"]))) == [0]


def test_what_is_no_text_is_refused_by_every_method() -> None:
    wrong: list[Any] = [[1, 2], ["a", None], [["a"]], "a cat", None, np.array("a cat"), [b"a"]]
    for given in wrong:
        made = SentenceVectorizer()
        for method in (made.fit, made.transform, made.fit_transform):
            with pytest.raises(InputError):
                method(given)


def test_one_long_text_does_not_widen_the_others() -> None:
    """An array of 50,000 texts as wide as one of 800 kB would hold 149 GiB."""
    SentenceVectorizer().fit(["a"] * 50_000 + ["x " * 400_000])


def test_it_needs_no_fit_for_its_names_and_tables(encoder: SentenceEncoder) -> None:
    names = SentenceVectorizer().get_feature_names_out()
    assert (len(names), names[-1]) == (384, "sentencevectorizer383")
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    column = pandas.Series(PETS, index=[5, 7, 9])
    for method in ("transform", "fit_transform"):
        made = SentenceVectorizer().set_output(transform="pandas")
        table = getattr(made, method)(column)
        assert list(table.columns) == list(names)
        assert list(table.index) == [5, 7, 9]
        assert np.array_equal(table.to_numpy(), encoder.encode(PETS))
