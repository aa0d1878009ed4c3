"""Filters: their text, their tree, and what SQLite makes of them."""

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minilm_onnx import InputError
from minilm_onnx.index.filterparsing import MOST_DEPTH, MOST_VALUES, parse_filter
from minilm_onnx.index.filters import (
    AllOf,
    AnyOf,
    Compare,
    Filter,
    IsNull,
    Like,
    Not,
    OneOf,
    Value,
    matches,
)
from minilm_onnx.index.filtersql import passages_that_match
from minilm_onnx.index.metadata import Described, add_metadata, note_time, write_metadata
from minilm_onnx.index.schema import SCHEMA
from minilm_onnx.reading.metadata import MODIFIED, Moment, as_moment, kept, values_of

apsw = pytest.importorskip("apsw", reason="minilm-onnx[search] is not installed")

# Few of each, so that filters match now and then; some are made to break quotes, LIKE and GLOB.
NAMES = ("a", "b", MODIFIED, "last name", "a.b", "no", "'; --", 'say "x"', "é", ":w0", "$.a")
TEXTS = (
    "",
    "en",
    "En",
    "é",
    "2020",
    "2020.0",
    "-1.5e2",
    "true",
    "2026-01-31",
    "a%b",
    "a_b",
    "*",
    "[a]",
)
DAYS = ("2026-01-31", "2026-02-01", "1969-12-31")
TIMES = ("2026-01-31T00:00:00Z", "2026-01-31 23:59", "2026-02-01T01:30:00.5+02:00")
SCALARS = st.one_of(
    st.sampled_from(TEXTS + DAYS + TIMES),
    st.sampled_from((0, 1, 2020, -150, 0.5, 1e300, True, False, None)),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=5),
)
METADATA = st.dictionaries(
    st.sampled_from(NAMES),
    st.one_of(
        SCALARS,
        st.lists(SCALARS, max_size=3),
        st.dictionaries(st.sampled_from("ab"), SCALARS, max_size=2),
    ),
    max_size=5,
)
PATTERN = st.lists(
    st.sampled_from(("%", "_", "\\%", "\\_", "\\\\", "a", "b", "é", "*", "?", "[", "]", "20")),
    max_size=5,
).map("".join)


def moment(text: str) -> Moment:
    found = as_moment(text)
    assert found is not None
    return found


VALUES: st.SearchStrategy[Value] = st.one_of(
    st.sampled_from(TEXTS + DAYS),
    st.sampled_from((0.0, 1.0, 2020.0, -150.0, 0.5, 1e300)),
    st.sampled_from(DAYS + TIMES).map(moment),
)
FIELDS = st.sampled_from((*NAMES, "a.a"))
TESTS: st.SearchStrategy[Filter] = st.one_of(
    st.builds(OneOf, FIELDS, st.lists(VALUES, min_size=1, max_size=3).map(tuple)),
    st.builds(Compare, FIELDS, st.sampled_from(("<", "<=", ">", ">=")), VALUES),
    st.builds(Like, FIELDS, PATTERN),
    st.builds(IsNull, FIELDS),
)
FILTERS = st.recursive(
    TESTS,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(AllOf, st.lists(inner, min_size=2, max_size=3).map(tuple)),
        st.builds(AnyOf, st.lists(inner, min_size=2, max_size=3).map(tuple)),
    ),
    max_leaves=6,
)


def index_of(documents: list[dict[str, Any]], modified: str | None) -> Any:
    """Give a database with a passage of each document, numbered from 1, all of one source."""
    connection = apsw.Connection(":memory:")
    connection.execute(SCHEMA)
    add_metadata(connection)
    connection.execute("INSERT INTO sources (id, name, digest, note) VALUES (1, 'a', x'', '')")
    note_time(connection, "a", modified)
    for number in range(1, len(documents) + 1):
        row = (number, 1, "", "", 1, 1, b"", None, 0)
        connection.execute("INSERT INTO passages VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    write_metadata(connection, 1, 1, [Described(1, metadata) for metadata in documents])
    return connection


@settings(max_examples=150, deadline=None)
@given(
    documents=st.lists(METADATA.map(lambda one: kept(one)[0]), max_size=6),
    wanted=FILTERS,
    modified=st.sampled_from((None, *DAYS, "2026-01-31T10:00:00Z")),
)
def test_sqlite_finds_what_plain_python_does(
    documents: list[dict[str, Any]], wanted: Filter, modified: str | None
) -> None:
    expected = []
    for number, metadata in enumerate(documents, 1):
        values = values_of(metadata)
        if modified is not None:
            values.setdefault(MODIFIED, [modified])
        if matches(wanted, values):
            expected.append(number)
    sql, parameters = passages_that_match(wanted)
    connection = index_of(documents, modified)
    found = connection.execute(f"SELECT id FROM passages WHERE {sql} ORDER BY id", parameters)
    assert [number for (number,) in found] == expected


SQL = {
    *("passages.document", "passages.source", "documents", "document", "postings", "sources"),
    *("term", "terms", "id", "name", "text", "number", "moment", "modified", "true", "GLOB"),
    *("SELECT", "FROM", "WHERE", "AS", "IN", "IS", "NOT", "NULL", "AND", "OR"),
    *("=", "<", "<=", ">", ">="),
}


@given(wanted=FILTERS)
def test_names_and_values_are_no_part_of_the_sql(wanted: Filter) -> None:
    sql, parameters = passages_that_match(wanted)
    words = re.sub("[(),]", " ", sql).split()
    assert {word for word in words if word.startswith(":")} == {f":{name}" for name in parameters}
    assert {word for word in words if not re.fullmatch(":w[0-9]+", word)} <= SQL


def written(wanted: Filter) -> str:
    """A filter as somebody would write it."""

    def name(field: str) -> str:
        return '"' + field.replace('"', '""') + '"'

    def value(one: Value) -> str:
        if isinstance(one, str):
            return "'" + one.replace("'", "''") + "'"
        if isinstance(one, float):
            return json.dumps(one)
        return next(text for text in DAYS + TIMES if moment(text) == one)

    match wanted:
        case Not(inner):
            return f"NOT ({written(inner)})"
        case AllOf(parts):
            return " and ".join(f"({written(part)})" for part in parts)
        case AnyOf(parts):
            return " or ".join(f"({written(part)})" for part in parts)
        case IsNull(field):
            return f"{name(field)} is null"
        case OneOf(field, values) if len(values) == 1:
            return f"{name(field)}={value(values[0])}"
        case OneOf(field, values):
            return f"{name(field)} In ({','.join(map(value, values))})"
        case Compare(field, operator, limit):
            return f"{name(field)}{operator}{value(limit)}"
        case Like(field, pattern):
            return f"{name(field)} like {value(pattern)}"


@given(wanted=FILTERS)
def test_a_filter_that_is_written_is_read_as_it_was(wanted: Filter) -> None:
    assert parse_filter(written(wanted)) == wanted


WORDS = (
    "a",
    "=",
    "in",
    "(",
    ")",
    "'x'",
    "3",
    "2026-01-31",
    "and",
    "not",
    "like",
    "is",
    "null",
    ",",
)


@given(text=st.one_of(st.text(max_size=20), st.lists(st.sampled_from(WORDS)).map(" ".join)))
def test_any_text_is_a_filter_or_refused_with_its_place(text: str) -> None:
    said = "where: expected at character"
    try:
        parse_filter(text)
    except InputError as error:
        said = str(error)
    assert said.startswith("where: expected ")
    assert "at character" in said
    assert "\n" not in said


def test_and_binds_closer_than_or_and_not_closer_than_and() -> None:
    a, b, c = (OneOf(name, (1.0,)) for name in "abc")
    assert parse_filter("a=1 or b=1 and c=1") == AnyOf((a, AllOf((b, c))))
    assert parse_filter("not a=1 and b=1") == AllOf((Not(a), b))
    assert parse_filter("(a=1 or b=1) and c=1") == AllOf((AnyOf((a, b)), c))
    assert parse_filter("a != 1") == Not(a) == parse_filter("a not in (1)")
    assert parse_filter("a is not null") == Not(IsNull("a"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", 'a field such as year or "last name" at character 1, got the end of the filter'),
        ("lang = en", "a value such as 'text', 3.5 or 2026-01-31 at character 8, got en; a text"),
        ('lang = "en"', "at character 8, got \"en\"; a text is in single quotes: 'en'"),
        ("lang <> 'en'", "at character 7, got >; write !="),
        ("lang like 'a\0b'", "expected no NUL, got one at character 13"),
        ("lang == 'en'", "at character 7, got =; write ="),
        ("lang = 'en", "at character 8, got ', a quote that is not closed"),
        ("day = 2026-02-30", "at character 7, got 2026-02-30; there is no such day"),
        ("day = 2026-1-31", "got 2026-1-31; write a day as 2026-01-31"),
        ("day >= 2026-05", "got 2026-05; write a day as 2026-01-31"),
        ("title = null", "at character 9, got null; write is null, or is not null"),
        ("last name = 'M'", "at character 6, got name; a field of several words is in double"),
        ("tags contains 'x'", "got contains; write = for a value of a list, or like '%text%'"),
        ("year between 1 and 2", "got between; write >= and <="),
        ("a = 1 && b = 2", "at character 7, got &; write and"),
        ("a = 1 || b = 2", "at character 7, got |; write or"),
        ("lang 'en'", "=, !=, <, <=, >, >=, in, like or is at character 6, got 'en'"),
        ("(lang = 'en'", ") at character 13, got the end of the filter"),
        ("a = 1 b = 2", "and, or, or the end of the filter at character 7, got b"),
        ("a in (1 2)", "a comma or ) at character 9, got 2"),
        ("a in ()", "a value such as"),
        ("a = 2026-02-31", "at character 5, got 2026-02-31"),
        ("a = 2026-01-31T24:00", "at character 5, got 2026-01-31T24:00"),
        ("a like 3", "a pattern such as '%refund%' at character 8"),
        ("a like 'x\\'", "a character after the last \\ of the pattern at character 8"),
        ("a not 3", "in or like after not at character 7"),
        ("a is 3", "null at character 6"),
        ("and = 3", "a field such as"),
        ("a = 1 ; DROP TABLE passages", "at character 7, got ;"),
        ("(" * (MOST_DEPTH + 1), f"at most {MOST_DEPTH} parentheses"),
        (f"a in ({'1,' * MOST_VALUES}1)", f"at most {MOST_VALUES} values at character"),
        (f"a like '{'x' * 1001}'", "a pattern of at most 1000 characters"),
        ("\ud800", "got a lone surrogate at character 1"),
        ("a" * 100_001, "expected at most 100000 characters"),
        (3, "expected a str"),
    ],
)
def test_a_wrong_filter_is_refused_with_its_place(text: Any, message: str) -> None:
    with pytest.raises(InputError) as error:
        parse_filter(text)
    assert message in str(error.value)
    assert str(error.value).startswith("where: expected ")
    assert "\n" not in str(error.value)


def test_filters_as_large_as_may_be_are_asked() -> None:
    connection = index_of([{"a": 3}], "2021-01-01")
    days = ", ".join(["2020-01-01"] * (MOST_VALUES - 1))
    for text in (
        f"modified in ({days}, 2021-01-01)",
        "not " * MOST_DEPTH + f"modified in ({days}, 2021-01-01)",
        " and ".join(["not modified = 2020-01-01"] * MOST_VALUES),
        " and ".join(["not a = 4"] * MOST_VALUES),
        " or ".join(["a = 4"] * (MOST_VALUES - 1) + ["a = 3"]),
        f"a in ({', '.join(map(str, range(MOST_VALUES)))})",
        "not " * MOST_DEPTH + "a = 3",
    ):
        sql, parameters = passages_that_match(parse_filter(text))
        found = connection.execute(f"SELECT id FROM passages WHERE {sql}", parameters)
        assert found.fetchall() == [(1,)]


@pytest.mark.parametrize(
    ("metadata", "text", "expected"),
    [
        ({"year": "2020"}, "year >= 2019 and year = '2020' and year in (1, 2020)", True),
        ({"year": 2020}, "year = '2020'", True),
        ({"zip": "01234"}, "zip = '01234' and zip = 1234 and zip != '1234'", True),
        ({"tags": ["new", "sale"]}, "tags = 'sale' and tags != 'old'", True),
        ({"tags": ["new", "sale"]}, "tags != 'sale'", False),
        ({}, "tags != 'sale' and tags is null and not tags > 3", True),
        ({"tags": []}, "tags is null", True),
        ({"author": {"name": "Ann"}}, "author.name = 'Ann' and author is null", True),
        ({"day": "2026-01-31"}, "day = 2026-01-31 and day <= 2026-01-31", True),
        ({"at": "2026-01-31T23:59:59Z"}, "at = 2026-01-31 and at <= 2026-01-31", True),
        ({"at": "2026-02-01T00:30:00+01:00"}, "at = 2026-01-31", True),
        ({"at": "2026-01-31T10:00:00Z"}, "at > 2026-01-31", False),
        ({"at": "2026-01-31T10:00:00Z"}, "at = 2026-01-31T11:00+01:00", True),
        ({"done": True}, "done = true and done = 'true'", True),
        ({"title": "On refunds"}, "title like '%refund%' and title not like '%Refund%'", True),
        ({"title": "100%"}, r"title like '100\%' and title like '1__%'", True),
        ({"title": "100 of"}, r"title like '100\%'", False),
        ({"size": "large"}, "size > 3 or size < 3", False),
        ({"who": "O'Brien"}, "who = 'O''Brien'", True),
    ],
)
def test_values_are_compared_as_documented(
    metadata: dict[str, Any], text: str, expected: bool
) -> None:
    wanted = parse_filter(text)
    assert matches(wanted, values_of(kept(metadata)[0])) is expected
    sql, parameters = passages_that_match(wanted)
    connection = index_of([metadata], None)
    found = connection.execute(f"SELECT id FROM passages WHERE {sql}", parameters).fetchall()
    assert bool(found) is expected


def test_a_pattern_of_many_stars_is_compared_in_little_time() -> None:
    text = "a" * 1000
    assert not matches(Like("a", "%a" * 400 + "%b"), {"a": [text]})
