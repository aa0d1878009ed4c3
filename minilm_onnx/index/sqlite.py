"""SQLite: a connection to a file with the vector search loaded, and its errors in words.

SQLite comes with the apsw package, because Python's own is often built without what loads the
vector search, sqlite-vec.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minilm_onnx.errors import DatabaseError, InputError, MiniLMError, importing, shorten
from minilm_onnx.index.header import may_be_damaged
from minilm_onnx.index.journal import log_of, shared_memory_of
from minilm_onnx.index.patterns import COMPOSED, composed

if TYPE_CHECKING:
    import apsw

# How long to wait for another process that writes.
PATIENCE_MS = 10_000
# Of SQLite's machine, between two looks whether it was interrupted: some milliseconds.
STEPS = 100_000


def connect(path: Path, *, writable: bool, create: bool, frozen: bool = False) -> "apsw.Connection":
    """Open a database, with the vector search loaded.

    Args:
        path: the file.
        writable: whether it can be changed here.
        create: whether to make an empty one where there is none.
        frozen: whether nobody changes it; one that has a log can only be read without it then.

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
        connection = _read_only(path, frozen=frozen)
    connection.set_busy_timeout(PATIENCE_MS)
    connection.execute("PRAGMA synchronous = NORMAL")  # with a write-ahead log, safe but quick
    connection.enable_load_extension(True)
    connection.load_extension(sqlite_vec.loadable_path())
    connection.enable_load_extension(False)
    connection.create_scalar_function(COMPOSED, composed, 1, deterministic=True)
    # Ctrl-C, SIGTERM: Python raises them where it is called.
    connection.set_progress_handler(lambda: False, STEPS)
    # Nothing in a file that somebody else made may call functions of its own choice.
    connection.config(apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0)
    connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
    return connection


def _read_only(path: Path, *, frozen: bool) -> "apsw.Connection":
    """Open a database that cannot be changed here, though perhaps by somebody else."""
    import apsw

    # Files that this user makes beside it would lock out its owner.
    how = "immutable=1" if frozen else "readonly_shm=1"
    name = f"{path.resolve().as_uri()}?{how}"
    return apsw.Connection(name, apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)


def in_words(path: Path, error: Exception) -> MiniLMError:
    """Say what SQLite found wrong, and what to do."""
    import apsw

    said = shorten(str(error))
    permissions = _permissions(path)
    ruined = "restore it, or delete it and index the texts again"
    for kind, (got, remedy) in {
        apsw.NotADBError: ("a file that is none", "choose another name"),
        apsw.CorruptError: ("a damaged one", ruined),
        apsw.FullError: ("a full disk", "free some space; what was there is unharmed"),
        apsw.BusyError: ("one that another process has locked", "wait for it, then try again"),
        apsw.LockedError: ("one that is locked", "wait for it, then try again"),
        apsw.ReadOnlyError: ("one that may only be read", f"check {permissions}"),
        apsw.CantOpenError: (
            "one that cannot be opened",
            f"check the folder and {permissions}",
        ),
        apsw.NoMemError: ("no memory for it", "free some"),
    }.items():
        if isinstance(error, kind):
            wrong = kind in (apsw.NotADBError, apsw.CantOpenError)
            if kind is apsw.NotADBError and may_be_damaged(path):
                wrong, got, remedy = False, "one that is damaged at its beginning", ruined
            raised = InputError if wrong else DatabaseError
            return raised(f"{path}: expected a SQLite database, got {got} ({said}); {remedy}")
    return DatabaseError(
        f"{path}: expected SQLite to do its work, got {type(error).__name__} ({said}); "
        "if this happens again, delete the database and index the texts again"
    )


def _permissions(path: Path) -> str:
    """Name the permissions that matter: also of files that another user left beside a database."""
    log, shared = log_of(path), shared_memory_of(path)
    if log.exists() and not shared.exists():
        return f"the permissions, or let the owner open it: {log} has changes that are not in it"
    names = [str(file) for file in (log, shared) if file.exists() and not os.access(file, os.W_OK)]
    return f"the permissions, also of {' and '.join(names)}" if names else "the permissions"


def fetch(cursor: "apsw.Cursor", what: str, *kinds: type | tuple[type, ...]) -> list[Any]:
    """Give the rows that a statement finds, of which each column has to be of a type.

    Args:
        cursor: of the statement.
        what: the rows are, for the error.
        kinds: the type of each column, `bytes | None` such as `codes` where it may be missing.

    Raises:
        DatabaseError: one is of another, or missing.
    """
    rows: list[Any] = cursor.fetchall()
    if not all(all(map(isinstance, row, kinds)) for row in rows):
        raise damaged(what)
    return rows


def damaged(what: str) -> DatabaseError:
    """Say that something is not in a database as it was put there."""
    return DatabaseError(
        f"index: expected {what} as they were written, got something else; the database is "
        "damaged: restore it, or delete it and index the texts again"
    )
