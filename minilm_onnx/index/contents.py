"""What is in an index: its sources, and all passages with their vectors."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from minilm_onnx.arrays import Vector
from minilm_onnx.index.storage import Storage, unstored

if TYPE_CHECKING:
    import apsw

# Passages to read at a time, when all are.
PAGE = 1000


@dataclass(frozen=True, slots=True)
class StoredPassage:
    """A passage of an index, with its vector.

    Attributes:
        id: its number in the index, which may change when its source does.
        source: see `Result`, as are the others.
        vector: (H,) float32 of length 1; as the index keeps it, rounded if that is int8 or binary.
    """

    id: int
    source: str
    first_line: int
    last_line: int
    headings: str
    text: str
    vector: Vector


def count_passages(connection: "apsw.Connection") -> int:
    """Give the number of passages."""
    count: int = connection.execute("SELECT count(*) FROM passages").get
    return count


def count_by_source(connection: "apsw.Connection") -> dict[str, int]:
    """Give the number of passages of each source, in the order of their names."""
    rows: list[Any] = connection.execute(
        "SELECT name, count(passages.id) FROM sources "
        "LEFT JOIN passages ON passages.source = sources.id GROUP BY name ORDER BY name"
    ).fetchall()
    return dict(rows)


def all_passages(connection: "apsw.Connection", storage: Storage) -> Iterator[StoredPassage]:
    """Give all passages with their vectors.

    Raises:
        DatabaseError: a vector is damaged.
    """
    start = 0
    while True:
        rows: list[Any] = connection.execute(
            "SELECT passages.id, sources.name, first_line, last_line, headings, text, "
            "vectors.vector, codes FROM passages "
            "JOIN sources ON sources.id = passages.source "
            "JOIN vectors ON vectors.rowid = passages.id "
            "WHERE passages.id > ? ORDER BY passages.id LIMIT ?",
            (start, PAGE),
        ).fetchall()
        for passage, source, first, last, headings, text, kept, codes in rows:
            vector = unstored(kept, codes, storage)
            yield StoredPassage(passage, source, first, last, headings, text, vector)
        if not rows:
            return
        start = rows[-1][0]


def staged_sources(connection: "apsw.Connection") -> list[str]:
    """Give the names of sources of which a run that ended left passages, in order."""
    statement = "SELECT DISTINCT source FROM staged ORDER BY source"
    rows: list[Any] = connection.execute(statement).fetchall()
    return [name for (name,) in rows]


def digests_and_notes(connection: "apsw.Connection") -> dict[str, tuple[bytes, str]]:
    """Give the digest and the note that each source was written with."""
    rows: list[Any] = connection.execute("SELECT name, digest, note FROM sources").fetchall()
    return {name: (digest, note) for name, digest, note in rows}
