"""What is in the database of an index: its tables, its format, and what it is made of.

Vectors are searched by sqlite-vec, https://alexgarcia.xyz/sqlite-vec, texts by SQLite's FTS5,
https://www.sqlite.org/fts5.html.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minilm_onnx.errors import InputError, shown
from minilm_onnx.index.header import APPLICATION
from minilm_onnx.index.metadata import add_metadata
from minilm_onnx.index.sqlite import damaged
from minilm_onnx.index.storage import COLUMNS, Storage
from minilm_onnx.index.words import WORDS, write_words

if TYPE_CHECKING:
    import apsw

FORMAT = 3
# Those before are read, and brought up to date when written: the first has words of Latin and its
# like alone, and neither has metadata.
LATIN_WORDS = 1
# No version will have so high a format: such a number is a fault of the disk.
NO_FORMAT = 100
# The fact that says which arithmetic made the vectors, which can all be compared.
RUNTIMES = "runtimes"
SCHEMA = f"""
    CREATE TABLE facts (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
    CREATE TABLE sources (
        id INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL, digest BLOB NOT NULL, note TEXT NOT NULL
    );
    CREATE TABLE passages (
        id INTEGER PRIMARY KEY,
        source INTEGER NOT NULL REFERENCES sources,
        headings TEXT NOT NULL,
        text TEXT NOT NULL,
        first_line INTEGER NOT NULL,
        last_line INTEGER NOT NULL,
        digest BLOB NOT NULL,
        codes BLOB
    );
    CREATE INDEX passages_of_source ON passages (source);
    CREATE INDEX passages_by_digest ON passages (digest);
    CREATE TABLE staged (
        key BLOB NOT NULL,
        position INTEGER NOT NULL,
        source TEXT NOT NULL,
        headings TEXT NOT NULL,
        text TEXT NOT NULL,
        first_line INTEGER NOT NULL,
        last_line INTEGER NOT NULL,
        digest BLOB NOT NULL,
        vector BLOB NOT NULL,
        codes BLOB,
        PRIMARY KEY (key, position)
    );
    CREATE INDEX staged_of_source ON staged (source);
    CREATE INDEX staged_by_digest ON staged (digest);
    CREATE TABLE rebuilt (
        id INTEGER PRIMARY KEY, digest BLOB NOT NULL, vector BLOB NOT NULL, codes BLOB
    );
    {WORDS};
"""


@dataclass(frozen=True)
class Facts:
    """What an index is made of.

    Attributes:
        fingerprint: of the encoder that made its vectors.
        storage: how they are kept.
        dimension: their components.
        runtime: of the encoder that is at work now; see `read_runtimes` for what others had.
    """

    fingerprint: str
    storage: Storage
    dimension: int
    runtime: str = field(default="", compare=False)


def make_tables(connection: "apsw.Connection", facts: Facts) -> None:
    """Create the tables in an empty file."""
    connection.execute(f"PRAGMA application_id = {APPLICATION}")
    connection.execute(f"PRAGMA user_version = {FORMAT}")
    connection.execute(SCHEMA)
    add_metadata(connection)
    make_vectors(connection, facts)
    write_runtimes(connection, [])


def make_vectors(connection: "apsw.Connection", facts: Facts) -> None:
    """Create the table of vectors, and note what the index is made of."""
    columns = COLUMNS[facts.storage].format(facts.dimension)
    connection.execute("DROP TABLE IF EXISTS vectors")
    connection.execute(f"CREATE VIRTUAL TABLE vectors USING vec0({columns})")
    connection.executemany(
        "INSERT OR REPLACE INTO facts VALUES (?, ?)",
        [
            ("fingerprint", facts.fingerprint),
            ("storage", facts.storage),
            ("dimension", facts.dimension),
        ],
    )


def is_empty(connection: "apsw.Connection") -> bool:
    """Whether nothing is in a database yet."""
    return not connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchall()


def check_format(connection: "apsw.Connection", path: Path) -> None:
    """Raise InputError if a database is not empty and not an index of this version."""
    if is_empty(connection):
        return
    application: Any = connection.execute("PRAGMA application_id").get
    if application != APPLICATION and _has_our_tables(connection):
        raise damaged("the header")
    if application != APPLICATION:
        raise InputError(
            f"{path}: expected an index of minilm-onnx, got another program's database; "
            "choose another name"
        )
    version: Any = connection.execute("PRAGMA user_version").get
    if not 0 < version < NO_FORMAT:
        raise damaged("the header")
    if version > FORMAT:
        raise InputError(
            f"{path}: expected an index of format {FORMAT}, got {version}; "
            "index the texts again, in another file, with this version of minilm-onnx"
        )


def update_format(connection: "apsw.Connection") -> None:
    """Bring an index of a former format up to date: its words in a second or a few.

    It has the metadata of a source once that is written.
    """
    version: Any = connection.execute("PRAGMA user_version").get
    if version == FORMAT:
        return
    if version == LATIN_WORDS:
        connection.execute("DROP TABLE words")
        connection.execute(WORDS)
        write_words(connection, "true")
    add_metadata(connection)
    connection.execute(f"PRAGMA user_version = {FORMAT}")


def _has_our_tables(connection: "apsw.Connection") -> bool:
    names = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
    return {("facts",), ("sources",), ("passages",), ("staged",)} <= set(names)


def read_facts(connection: "apsw.Connection") -> Facts | None:
    """Give what an index is made of; None of an empty file.

    Raises:
        DatabaseError: it does not say.
    """
    if is_empty(connection):
        return None
    rows: list[Any] = connection.execute("SELECT name, value FROM facts").fetchall()
    kinds = {"fingerprint": str, "storage": str, "dimension": int}
    found = {name: value for name, value in rows if name in kinds}
    if {name: type(value) for name, value in found.items()} != kinds or (
        found["storage"] not in COLUMNS or not found["fingerprint"].isprintable()
    ):
        raise damaged("the facts")
    return Facts(**found)


def note_runtime(connection: "apsw.Connection", runtime: str) -> None:
    """Note that vectors in an index were made by a runtime."""
    found = read_runtimes(connection)
    if runtime not in found:
        write_runtimes(connection, [*found, runtime])


def read_runtimes(connection: "apsw.Connection") -> list[str]:
    """Name what made the vectors of an index; "unknown" is what did before that was noted."""
    if is_empty(connection):
        return []
    found: Any = connection.execute("SELECT value FROM facts WHERE name = ?", (RUNTIMES,)).get
    if found is None:
        return ["unknown"]
    if type(found) is not str or not found.replace("\n", "").isprintable():
        raise damaged("the facts")
    return found.splitlines()


def write_runtimes(connection: "apsw.Connection", runtimes: list[str]) -> None:
    """Say what made all vectors of an index."""
    connection.execute(
        "INSERT OR REPLACE INTO facts VALUES (?, ?)", (RUNTIMES, "\n".join(runtimes))
    )


def check_facts(connection: "apsw.Connection", facts: Facts, path: Path) -> None:
    """Raise InputError if an index is made of something else.

    Asked in every transaction, because another process may rebuild the index meanwhile.
    """
    found = read_facts(connection)
    if found is None or found.fingerprint != facts.fingerprint:
        other = shown(found.fingerprint) if found else "nobody"
        raise InputError(
            f"{path}: expected an index by {facts.fingerprint}, this encoder, got one by "
            f"{other}; use that model, or embed the passages again with this one: "
            "minilm-onnx index --db FILE --rebuild, and the same --model"
        )
    if found.storage != facts.storage:
        raise InputError(
            f"{path}: expected vectors kept as {facts.storage}, got an index of "
            f"{found.storage}; leave the storage out, or convert it: "
            f"minilm-onnx index --db FILE --storage {facts.storage} --rebuild"
        )
