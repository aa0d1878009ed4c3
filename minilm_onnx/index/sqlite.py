"""SQLite: a connection to a file with the vector search loaded, and its errors in words.

SQLite comes with the apsw package, because Python's own is often built without what loads the
vector search, sqlite-vec.
"""

import time
from pathlib import Path
from typing import TYPE_CHECKING

from minilm_onnx.errors import DatabaseError, InputError, MiniLMError, importing, shorten

if TYPE_CHECKING:
    import apsw

# How long to wait for another process that writes.
PATIENCE_MS = 10_000


def connect(path: Path, *, writable: bool, create: bool) -> "apsw.Connection":
    """Open a database, with the vector search loaded.

    Args:
        path: the file.
        writable: whether it can be changed here.
        create: whether to make an empty one where there is none.

    Raises:
        InputError: sqlite-vec is not installed.
    """
    import apsw

    with importing("index", "sqlite-vec", "search"):
        import sqlite_vec
    if writable:
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


def write_ahead(connection: "apsw.Connection") -> None:
    """Let readers read while somebody writes, for as long as the file exists."""
    import apsw

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


def damaged(what: str) -> DatabaseError:
    """Say that something is not in a database as it was put there."""
    return DatabaseError(
        f"index: expected {what} as they were written, got something else; the database is "
        "damaged: restore it, or delete it and index the texts anew"
    )
