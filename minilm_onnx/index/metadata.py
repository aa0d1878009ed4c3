"""The metadata in an index: what documents say of themselves, and the terms they are found by.

A document is what passages were split from: a text, or a row of a file. A term is a value of a
field; the same one of many documents is kept once.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from minilm_onnx.errors import InputError, describe, shown
from minilm_onnx.index.sqlite import damaged
from minilm_onnx.reading.metadata import MODIFIED, kept, readings, values_of

if TYPE_CHECKING:
    import apsw

# The first format that has metadata.
WITH_METADATA = 3
TABLES = """
    CREATE TABLE documents (id INTEGER PRIMARY KEY, source INTEGER NOT NULL, fields TEXT NOT NULL);
    CREATE INDEX documents_of_source ON documents (source);
    CREATE TABLE terms (
        id INTEGER PRIMARY KEY, name TEXT NOT NULL, text TEXT NOT NULL, number REAL, moment INTEGER,
        UNIQUE (name, text)
    );
    CREATE TABLE postings (
        term INTEGER NOT NULL, document INTEGER NOT NULL, PRIMARY KEY (term, document)
    ) WITHOUT ROWID;
    CREATE INDEX postings_of_document ON postings (document);
    CREATE INDEX passages_of_document ON passages (document, source)
"""
# Of a file, its time; of a passage, its document: 0 for one without metadata, NULL for one that an
# earlier version wrote, of which nobody knows.
COLUMNS = (
    "ALTER TABLE sources ADD COLUMN modified TEXT",
    "ALTER TABLE sources ADD COLUMN moment INTEGER",
    "ALTER TABLE passages ADD COLUMN document INTEGER",
)


@dataclass(frozen=True, slots=True)
class Described:
    """What some passages of a source, one behind the other, say of themselves.

    Attributes:
        passages: how many they are.
        metadata: of them, as `kept` gives it.
    """

    passages: int
    metadata: Mapping[str, Any]


def checked(metadata: Mapping[str, Any] | None) -> dict[str, Any]:
    """Give metadata as it is kept.

    Raises:
        InputError: it is none.
    """
    if metadata is None:
        return {}
    if not isinstance(metadata, Mapping) or not all(isinstance(name, str) for name in metadata):
        raise InputError(
            f"metadata: expected a dict such as {{'year': 2020}}, got {describe(metadata)}"
        )
    found, left_out = kept(metadata)
    if left_out:
        raise InputError(
            "metadata: expected texts, numbers, bools, dates, and lists and dicts of those, got "
            f"{left_out[0]}; leave it out"
        )
    return found


def add_metadata(connection: "apsw.Connection") -> None:
    """Make the tables and columns for it."""
    for column in COLUMNS:
        connection.execute(column)
    connection.execute(TABLES)


def has_metadata(connection: "apsw.Connection") -> bool:
    """Whether an index is of a format with metadata."""
    version: int = connection.execute("PRAGMA user_version").get
    return version >= WITH_METADATA


def refuse_without(connection: "apsw.Connection") -> None:
    """Raise InputError if the metadata of some passages is unknown: a filter would miss them."""
    remedy = "bring it up to date: minilm-onnx index --db FILE, with its paths"
    if not has_metadata(connection):
        raise InputError(
            f"where: expected an index with metadata, got one of an earlier version; {remedy}"
        )
    former: Any = connection.execute(
        "SELECT name FROM sources "
        "WHERE id = (SELECT source FROM passages WHERE document IS NULL LIMIT 1)"
    ).get
    if former is not None:
        raise InputError(
            "where: expected an index with metadata, got one in which an earlier version wrote "
            f"passages of {shown(str(former))}; {remedy}"
        )


def read_fields(connection: "apsw.Connection") -> list[str]:
    """Give the names of the fields that passages have, in order."""
    if not has_metadata(connection):
        return []
    found = {str(name) for (name,) in connection.execute("SELECT DISTINCT name FROM terms")}
    if connection.execute("SELECT EXISTS (SELECT 1 FROM sources WHERE modified NOT NULL)").get:
        found.add(MODIFIED)
    return sorted(found)


def columns_of(connection: "apsw.Connection") -> tuple[str, str]:
    """Give the SQL that selects what `read_metadata` takes, and the join that it needs."""
    if not has_metadata(connection):
        return "NULL, NULL", ""
    join = "LEFT JOIN documents ON documents.id = passages.document"
    return "documents.fields, sources.modified", join


def read_metadata(fields: Any, modified: Any) -> dict[str, Any]:
    """Give a passage's metadata.

    Raises:
        DatabaseError: it is not as it was written.
    """
    found: Any = {}
    try:
        if fields is not None:
            found = json.loads(fields)
    except (TypeError, ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not isinstance(modified, str | None):
        raise damaged("metadata")
    return with_time(found, modified)


def with_time(metadata: Mapping[str, Any], modified: str | None) -> dict[str, Any]:
    """Give metadata with the time at which its file was changed, unless it has one itself."""
    return {**metadata} if modified is None else {MODIFIED: modified, **metadata}


def note_time(connection: "apsw.Connection", source: str, modified: str | None) -> None:
    """Note when a file was changed."""
    _, moment = (None, None) if modified is None else readings(modified)
    connection.execute(
        "UPDATE sources SET modified = ?, moment = ? WHERE name = ?", (modified, moment, source)
    )


def write_metadata(
    connection: "apsw.Connection", source: int, first: int, described: Sequence[Described]
) -> None:
    """Write the metadata of a source's passages, of which `first` is the number of the first."""
    for one in described:
        if one.metadata and one.passages:
            fields = json.dumps(one.metadata, ensure_ascii=False)
            connection.execute(
                "INSERT INTO documents (source, fields) VALUES (?, ?)", (source, fields)
            )
            document = connection.last_insert_rowid()
            connection.execute(
                "UPDATE passages SET document = ? WHERE id >= ? AND id < ?",
                (document, first, first + one.passages),
            )
            terms = [
                (name, value)
                for name, values in values_of(one.metadata).items()
                for value in values
            ]
            connection.executemany(
                "INSERT INTO terms (name, text, number, moment) VALUES (?, ?, ?, ?) "
                "ON CONFLICT DO NOTHING",
                [(name, value, *readings(value)) for name, value in terms],
            )
            connection.executemany(
                "INSERT INTO postings SELECT id, ? FROM terms WHERE name = ? AND text = ?",
                [(document, *term) for term in terms],
            )
        first += one.passages


def remove_metadata(connection: "apsw.Connection", source: int) -> None:
    """Take out the metadata of a source, and the terms that no other has."""
    documents: list[Any] = connection.execute(
        "SELECT id FROM documents WHERE source = ?", (source,)
    ).fetchall()
    if not documents:
        return
    terms: list[Any] = connection.execute(
        "SELECT DISTINCT term FROM documents JOIN postings ON postings.document = documents.id "
        "WHERE documents.source = ?",
        (source,),
    ).fetchall()
    connection.executemany("DELETE FROM postings WHERE document = ?", documents)
    connection.executemany(
        "DELETE FROM terms WHERE id = ? "
        "AND NOT EXISTS (SELECT 1 FROM postings WHERE postings.term = terms.id)",
        terms,
    )
    connection.execute("DELETE FROM documents WHERE source = ?", (source,))
