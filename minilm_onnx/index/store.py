"""The database of an index: one SQLite file with passages, their vectors and a full-text index.

SQLite comes with the apsw package, because Python's own is often built without what loads the
vector search, sqlite-vec, https://alexgarcia.xyz/sqlite-vec. Text search is SQLite's FTS5,
https://www.sqlite.org/fts5.html.
"""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from minilm_onnx.errors import DatabaseError, InputError, MiniLMError, shorten

if TYPE_CHECKING:
    import apsw

Storage: TypeAlias = Literal["float32", "int8", "binary"]

# Says in a file's header whose it is: "MLMX".
APPLICATION = 0x4D4C4D58
FORMAT = 1
# How long to wait for another process that writes.
PATIENCE_MS = 10_000
NEEDED = "pip install 'minilm-onnx[search]'"
# Vectors are unit rows, so cosine distance orders bytes of any scale as it does floats.
COLUMNS: dict[Storage, str] = {
    "float32": "vector float[{}] distance_metric=cosine",
    "int8": "vector int8[{}] distance_metric=cosine",
    "binary": "vector bit[{}]",
}
SCHEMA = """
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
    CREATE VIRTUAL TABLE words USING fts5 (
        headings, text, content='passages', content_rowid='id', tokenize='porter unicode61'
    );
"""


@dataclass(frozen=True)
class Facts:
    """What an index is made of.

    Attributes:
        fingerprint: of the encoder that made its vectors.
        storage: how they are kept.
        dimension: their components.
    """

    fingerprint: str
    storage: Storage
    dimension: int


class Store:
    """A database file. Every thread has a connection of its own, and none outlives a fork.

    Attributes:
        path: of the file.
        writable: whether it can be changed.
    """

    def __init__(self, path: Path, *, create: bool) -> None:
        """Open it, and see that it is an index.

        Args:
            path: the file.
            create: whether to make an empty one where there is none.

        Raises:
            InputError: there is none, or it is not an index, or the packages are not installed.
            DatabaseError: it cannot be opened.
        """
        self.path = path
        try:
            str(path).encode()
            exists = is_there(path)
        except UnicodeEncodeError as error:
            raise InputError(
                f"{str(path)!a}: expected a name in UTF-8, got other bytes; choose another"
            ) from error
        self.writable = can_write(path)
        self._create = create
        self._closed = False
        self._left_behind: list[object] = []
        self._forget()
        if exists and not path.is_file():
            raise InputError(
                f"{path}: expected a database file, got a folder or a device; choose another name"
            )
        if not create and (not exists or not path.stat().st_size):
            raise InputError(
                f"{path}: expected an index, got {'an empty file' if exists else 'none'}; "
                "make one: minilm-onnx index"
            )
        with self.reading() as connection:
            check_format(connection, path)

    @contextmanager
    def reading(self) -> Iterator["apsw.Connection"]:
        """Give a connection that sees one state of the database as long as the block lasts."""
        with self._guarded() as connection, connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator["apsw.Connection"]:
        """Give a connection whose changes become visible at once when the block ends well."""
        with self._guarded() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    def write_ahead(self) -> None:
        """Let readers read while somebody writes, for as long as the file exists."""
        import apsw

        with self._guarded() as connection:
            # SQLite does not wait here for another process that does the same.
            end = time.monotonic() + PATIENCE_MS / 1000
            while True:
                try:
                    connection.execute("PRAGMA journal_mode = WAL")
                    return
                except apsw.BusyError:
                    if time.monotonic() > end:
                        raise
                    time.sleep(0.02)

    @contextmanager
    def snapshot(self) -> Iterator["apsw.Connection"]:
        """Give a connection of its own that sees one state of the database, for a long look."""
        with self._guarded():
            connection = connect(self.path, create=False)
            try:
                with connection:
                    yield connection
            finally:
                connection.close()

    def close(self) -> None:
        """Close every thread's connection; one that is at work closes its own when it is done."""
        import apsw

        self._closed = True
        if self._pid != os.getpid():
            return
        with self._lock:
            for thread, connection in list(self._connections.items()):
                with suppress(apsw.ThreadingViolationError):
                    connection.close()
                    del self._connections[thread]

    @contextmanager
    def _guarded(self) -> Iterator["apsw.Connection"]:
        """Put SQLite's errors into words."""
        try:
            import apsw
        except ImportError as error:
            raise InputError(f"index: expected apsw, which is not installed; {NEEDED}") from error
        try:
            yield self._connection()
        except apsw.ConnectionClosedError as error:
            raise InputError(f"{self.path}: expected an open index, got a closed one") from error
        except apsw.Error as error:
            raise in_words(self.path, error) from error
        except UnicodeDecodeError as error:  # all that was written is text
            raise damaged("texts") from error
        finally:
            if self._closed:
                self.close()

    def _connection(self) -> "apsw.Connection":
        if self._closed:
            raise InputError(f"{self.path}: expected an open index, got a closed one; open it anew")
        if self._pid != os.getpid():
            # The parent's: SQLite wants them neither used nor closed here.
            self._left_behind.append(self._connections)
            self._forget()
        thread = threading.current_thread()
        connection = self._connections.get(thread)
        if connection is None:
            connection = connect(self.path, create=self._create)
            with self._lock:
                for ended in [thread for thread in self._connections if not thread.is_alive()]:
                    self._connections.pop(ended).close()
                self._connections[thread] = connection
        return connection

    def _forget(self) -> None:
        self._connections: dict[threading.Thread, apsw.Connection] = {}
        self._lock = threading.Lock()
        self._pid = os.getpid()


def is_there(path: Path) -> bool:
    """Whether a path leads somewhere.

    Raises:
        InputError: that cannot be said.
    """
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError) as error:
        got = getattr(error, "strerror", error)
        raise InputError(f"{path}: expected a path to look at, got {got}; check it") from error
    return True


def can_write(path: Path) -> bool:
    """Whether a database can be changed, for which SQLite needs its folder as well."""
    needed = [path.absolute().parent, *([path] if is_there(path) else [])]
    return all(os.access(place, os.W_OK) for place in needed)


def connect(path: Path, *, create: bool) -> "apsw.Connection":
    """Open a database, with the vector search loaded.

    Raises:
        InputError: sqlite-vec is not installed.
    """
    import apsw

    try:
        import sqlite_vec
    except ImportError as error:
        raise InputError(f"index: expected sqlite-vec, which is not installed; {NEEDED}") from error
    if can_write(path):
        made = apsw.SQLITE_OPEN_CREATE if create else 0
        connection = apsw.Connection(str(path.absolute()), apsw.SQLITE_OPEN_READWRITE | made)
    else:
        connection = read_only(path.absolute())
    connection.set_busy_timeout(PATIENCE_MS)
    connection.execute("PRAGMA synchronous = NORMAL")  # with a write-ahead log, safe but quick
    connection.enable_load_extension(True)
    connection.load_extension(sqlite_vec.loadable_path())
    connection.enable_load_extension(False)
    # Nothing in a file that somebody else made may call functions of its own choice.
    connection.config(apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0)
    connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
    return connection


def read_only(path: Path) -> "apsw.Connection":
    """Open a database that cannot be changed here, though perhaps by somebody else."""
    import apsw

    connection = apsw.Connection(str(path), apsw.SQLITE_OPEN_READONLY)
    try:
        connection.execute("PRAGMA schema_version").fetchall()
    except apsw.CantOpenError:
        # SQLite wants to make files beside it. If there are none, nobody is writing.
        connection.close()
        if path.with_name(path.name + "-wal").exists():
            raise
        name = f"{path.as_uri()}?immutable=1"
        connection = apsw.Connection(name, apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
    return connection


def check_format(connection: "apsw.Connection", path: Path) -> None:
    """Raise InputError if a database is not empty and not an index of this version."""
    if is_empty(connection):
        return
    (application,) = connection.execute("PRAGMA application_id").fetchall()[0]
    if application != APPLICATION:
        raise InputError(
            f"{path}: expected an index of minilm-onnx, got another program's database; "
            "choose another name"
        )
    (version,) = connection.execute("PRAGMA user_version").fetchall()[0]
    if version != FORMAT:
        raise InputError(
            f"{path}: expected an index of format {FORMAT}, got {version}; "
            "index the texts anew, in another file, with this version of minilm-onnx"
        )


def is_empty(connection: "apsw.Connection") -> bool:
    """Whether nothing is in a database yet."""
    return not connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchall()


def read_facts(connection: "apsw.Connection") -> Facts | None:
    """Give what an index is made of; None of an empty file.

    Raises:
        DatabaseError: it does not say.
    """
    if is_empty(connection):
        return None
    rows: list[Any] = connection.execute("SELECT name, value FROM facts").fetchall()
    found = {name: value for name, value in rows if name in Facts.__annotations__}
    if set(found) != set(Facts.__annotations__) or found["storage"] not in COLUMNS:
        raise damaged("the facts")
    return Facts(**found)


def damaged(what: str) -> DatabaseError:
    """Say that something is not in a database as it was put there."""
    return DatabaseError(
        f"index: expected {what} as they were written, got something else; the database is "
        "damaged: restore it, or delete it and index the texts anew"
    )


def make_tables(connection: "apsw.Connection", facts: Facts) -> None:
    """Create the tables in an empty file."""
    connection.execute(f"PRAGMA application_id = {APPLICATION}")
    connection.execute(f"PRAGMA user_version = {FORMAT}")
    connection.execute(SCHEMA)
    make_vectors(connection, facts)


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


def typed(value: str, storage: Storage) -> str:
    """Give the SQL that says of what a value's bytes are."""
    return {"float32": value, "int8": f"vec_int8({value})", "binary": f"vec_bit({value})"}[storage]


def in_words(path: Path, error: Exception) -> MiniLMError:
    """Say what SQLite found wrong, and what to do."""
    import apsw

    said = shorten(str(error))
    for kind, (got, remedy) in {
        apsw.NotADBError: ("a file that is none", "choose another name"),
        apsw.CorruptError: ("a damaged one", "restore it, or delete it and index the texts anew"),
        apsw.FullError: ("a full disk", "free some space; what was there is unharmed"),
        apsw.BusyError: ("one that another process has locked", "wait for it, then try again"),
        apsw.LockedError: ("one that is locked", "wait for it, then try again"),
        apsw.ReadOnlyError: ("one that may only be read", "check the permissions"),
        apsw.CantOpenError: ("one that cannot be opened", "check the folder and the permissions"),
        apsw.NoMemError: ("no memory for it", "free some"),
    }.items():
        if isinstance(error, kind):
            wrong = kind in (apsw.NotADBError, apsw.CantOpenError)
            raised = InputError if wrong else DatabaseError
            return raised(f"{path}: expected a SQLite database, got {got} ({said}); {remedy}")
    return DatabaseError(
        f"{path}: expected SQLite to do its work, got {type(error).__name__} ({said}); "
        "if it comes again, index the texts anew"
    )
