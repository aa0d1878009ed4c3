"""What is in an index: its sources, and all passages with their vectors."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from minilm_onnx.arrays import Vector
from minilm_onnx.index.metadata import columns_of, has_metadata, read_metadata
from minilm_onnx.index.schema import Facts
from minilm_onnx.index.sqlite import damaged, fetch
from minilm_onnx.index.storage import unstored

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
    metadata: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Written:
    """What a source was written with.

    Attributes:
        digest: of all that its passages depend on.
        note: kept with it.
        modified: when its file was changed, None of what is no file.
    """

    digest: bytes = b""
    note: str = ""
    modified: str | None = None


def count_passages(connection: "apsw.Connection") -> int:
    """Give the number of passages."""
    count: int = connection.execute("SELECT count(*) FROM passages").get
    return count


def count_by_source(connection: "apsw.Connection") -> dict[str, int]:
    """Give the number of passages of each source, in the order of their names."""
    cursor = connection.execute(
        "SELECT name, count(passages.id) FROM sources "
        "LEFT JOIN passages ON passages.source = sources.id GROUP BY name ORDER BY name"
    )
    return dict(fetch(cursor, "sources", str, int))


def all_passages(connection: "apsw.Connection", facts: Facts) -> Iterator[StoredPassage]:
    """Give all passages with their vectors.

    Raises:
        DatabaseError: one is damaged.
    """
    start = 0
    while page := passages_where(connection, facts, "passages.id > ?", (start,), PAGE):
        check_order([passage.id for passage in page], start)
        yield from page
        start = page[-1].id


def passages_where(
    connection: "apsw.Connection",
    facts: Facts,
    condition: str,
    parameters: Sequence[str | int],
    limit: int = -1,
) -> list[StoredPassage]:
    """Give the passages of which some SQL is true, in order; at most `limit`, unless that is -1.

    Raises:
        DatabaseError: one is damaged.
    """
    columns, join = columns_of(connection)
    cursor = connection.execute(
        "SELECT passages.id, sources.name, first_line, last_line, headings, text, "
        f"vectors.vector, codes, {columns} FROM passages "
        f"JOIN sources ON sources.id = passages.source {join} "
        "JOIN vectors ON vectors.rowid = passages.id "
        f"WHERE {condition} ORDER BY passages.id LIMIT ?",
        (*parameters, limit),
    )
    found = []
    rows = fetch(cursor, "passages", int, str, int, int, str, str)
    for passage, source, first, last, headings, text, kept, codes, *described in rows:
        vector = unstored(kept, codes, facts.storage, facts.dimension)
        metadata = read_metadata(*described)
        found.append(StoredPassage(passage, source, first, last, headings, text, vector, metadata))
    return found


def check_order(numbers: Sequence[int], before: int) -> None:
    """Raise DatabaseError if numbers do not go up, by which a reader would never come to an end."""
    if any(following <= number for number, following in pairwise([before, *numbers])):
        raise damaged("passages")


def staged_sources(connection: "apsw.Connection") -> list[str]:
    """Give the names of sources of which a run that ended left passages, in order."""
    statement = "SELECT DISTINCT source FROM staged ORDER BY source"
    return [name for (name,) in fetch(connection.execute(statement), "staged passages", str)]


def written_sources(connection: "apsw.Connection") -> dict[str, Written]:
    """Give what each source was written with."""
    modified = "modified" if has_metadata(connection) else "NULL"
    rows = connection.execute(f"SELECT name, digest, note, {modified} FROM sources")
    found = fetch(rows, "sources", str, bytes, str, (str, type(None)))
    return {name: Written(*others) for name, *others in found}
