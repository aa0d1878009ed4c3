"""Columns of tables are sequences of texts."""

from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minilm_onnx import InputError, SentenceEncoder, paraphrase_mining
from minilm_onnx.integrations import as_list

TEXTS = ["a cat", "", "猫 naïve", "a dog", "a cat"]


def make_pandas(texts: Sequence[Any]) -> Any:
    # With an index of its own, by which a text must not be looked up.
    pandas = pytest.importorskip("pandas")
    return pandas.Series(texts, index=range(len(texts), 0, -1))


def make_pandas_array(texts: Sequence[Any]) -> Any:
    return make_pandas(texts).array


def make_pandas_values(texts: Sequence[Any]) -> Any:
    return make_pandas(texts).values


def make_pandas_index(texts: Sequence[Any]) -> Any:
    return pytest.importorskip("pandas").Index(texts)


def make_pandas_category(texts: Sequence[Any]) -> Any:
    return make_pandas(texts).astype("category")


def make_polars(texts: Sequence[Any]) -> Any:
    return pytest.importorskip("polars").Series("text", texts)


def make_polars_category(texts: Sequence[Any]) -> Any:
    polars = pytest.importorskip("polars")
    return polars.Series("text", texts, dtype=polars.Categorical)


def make_arrow(texts: Sequence[Any]) -> Any:
    return pytest.importorskip("pyarrow").array(texts)


def make_arrow_large(texts: Sequence[Any]) -> Any:
    arrow = pytest.importorskip("pyarrow")
    return arrow.array(texts, arrow.large_string())


def make_arrow_dictionary(texts: Sequence[Any]) -> Any:
    return make_arrow(texts).dictionary_encode()


def make_arrow_chunks(texts: Sequence[Any]) -> Any:
    arrow = pytest.importorskip("pyarrow")
    return arrow.chunked_array([texts[:2], [], texts[2:]], arrow.string())


def make_unicode(texts: Sequence[Any]) -> Any:
    return np.array(texts, dtype="U")


def make_objects(texts: Sequence[Any]) -> Any:
    return np.array(texts, dtype=object)


def make_string_dtype(texts: Sequence[Any]) -> Any:
    kind: Any = getattr(getattr(np, "dtypes", None), "StringDType", None)
    if kind is None:
        pytest.skip("numpy before 2 has no StringDType")
    return np.array(texts, dtype=kind(na_object=None))


def make_masked(texts: Sequence[Any]) -> Any:
    return np.ma.masked_array(np.array([text or "" for text in texts]), [t is None for t in texts])


MAKERS = [
    make_pandas,
    make_pandas_array,
    make_pandas_values,
    make_pandas_index,
    make_pandas_category,
    make_polars,
    make_polars_category,
    make_arrow,
    make_arrow_large,
    make_arrow_dictionary,
    make_arrow_chunks,
    make_unicode,
    make_objects,
    make_string_dtype,
    make_masked,
    deque,
    tuple,
]
columns = pytest.mark.parametrize("make", MAKERS)


@columns
def test_a_column_is_a_sequence_of_texts(
    encoder: SentenceEncoder, make: Callable[[Sequence[Any]], Any]
) -> None:
    expected = encoder.encode(TEXTS)
    column = make(TEXTS)
    assert np.array_equal(encoder.encode(column), expected)
    assert np.array_equal(encoder.encode(sentences=column), expected)
    assert np.array_equal(
        encoder.encode_query(column, prompt="a: "), encoder.encode(TEXTS, prompt="a: ")
    )
    assert np.array_equal(list(encoder.encode_stream(column)), expected)
    assert np.array_equal(encoder.embed_texts(column)[0], expected)
    assert encoder.inspect(column) == encoder.inspect(TEXTS)
    assert np.array_equal(
        encoder.tokenize(column)["input_ids"], encoder.tokenize(TEXTS)["input_ids"]
    )
    assert paraphrase_mining(encoder, column) == paraphrase_mining(encoder, TEXTS)
    assert as_list("texts", column) == TEXTS
    assert encoder.encode(make(TEXTS)[:0]).shape == (0, 384) if make is not deque else True


@pytest.mark.parametrize("make", [one for one in MAKERS if one is not make_unicode])
def test_a_missing_text_of_a_column_is_named_by_its_place(
    encoder: SentenceEncoder, make: Callable[[Sequence[Any]], Any]
) -> None:
    column = make(["a cat", "a dog", None, "a car"])
    with pytest.raises(InputError, match=r"texts\[2\]: expected a str, got"):
        encoder.encode(column)
    with pytest.raises(InputError, match=r"texts\[2\]: expected a str, got"):
        list(encoder.encode_stream(column))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (np.array(["a", float("nan")], dtype=object), r"texts\[1\]: expected a str, got float nan"),
        (np.array([b"a cat"]), r"texts\[0\]: expected a str, got bytes"),
        (np.array([1.5]), r"texts\[0\]: expected a str, got float 1.5"),
        (np.array([["a", "b"]]), "expected a sequence of str, got ndarray"),
        (np.array("a cat"), "expected a sequence of str, got ndarray"),
        ({"text": ["a cat"]}, "expected a sequence of str, got dict"),
        ({"a cat"}, "expected a sequence of str, got set"),
        (np.ndarray, "expected a sequence of str, got type"),
    ],
)
def test_what_is_no_column_of_texts_is_refused(
    encoder: SentenceEncoder, given: Any, words: str
) -> None:
    with pytest.raises(InputError, match=words):
        encoder.encode(given)


@pytest.mark.parametrize("module", ["pandas", "polars", "pyarrow"])
def test_a_table_is_refused_before_its_names_are_embedded(
    encoder: SentenceEncoder, module: str
) -> None:
    package = pytest.importorskip(module)
    fields = {"text": ["a cat", "a dog"]}
    table = package.table(fields) if module == "pyarrow" else package.DataFrame(fields)
    for take in (encoder.encode, encoder.encode_stream, lambda given: as_list("texts", given)):
        with pytest.raises(InputError, match=r"give .*one column of a table"):
            take(table)
    with pytest.raises(InputError, match="expected an iterable of str, got dict"):
        encoder.encode_stream(fields)


def test_a_table_is_known_without_a_look_at_its_columns(encoder: SentenceEncoder) -> None:
    """Those of polars' LazyFrame, and of a query, are expensive to find."""

    class Lazy:
        @property
        def columns(self) -> list[str]:
            raise AssertionError("looked")

    lazy: Any = Lazy()
    for take in (encoder.encode, encoder.encode_stream, lambda given: as_list("texts", given)):
        with pytest.raises(InputError, match=r"give .*one column of a table"):
            take(lazy)


def test_a_long_arrow_column_is_streamed_in_slices(encoder: SentenceEncoder) -> None:
    arrow = pytest.importorskip("pyarrow")
    column = arrow.chunked_array([[f"number {place % 7}"] * 1500 for place in range(3)])
    expected = encoder.encode(column.to_pylist())
    assert np.array_equal(list(encoder.encode_stream(column)), expected)


def test_a_column_goes_into_an_index(tmp_path: Path, encoder: SentenceEncoder) -> None:
    """Texts and patterns, one by one, are numpy's own str."""
    pytest.importorskip("apsw")
    pytest.importorskip("semantic_text_splitter")
    from minilm_onnx.index import TextIndex

    names, texts = np.array(["a.txt", "b.txt"]), np.array(["a cat", "a dog"])
    with TextIndex(tmp_path / "index.db", encoder) as index:
        for name, text in zip(names, texts, strict=True):
            index.add(name, text)
        found = index.search(texts[0], source=list(names))
        assert [one.source for one in found] == ["a.txt", "b.txt"]
