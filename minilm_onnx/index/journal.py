"""The write-ahead log of a database: in use while somebody writes, gone when nobody does.

With the log readers read while somebody writes, but two more files lie beside the database, and all
that read it have to share them: a user who may not write the folder cannot read it, and one who may
leaves files there that the owner cannot write. So a database at rest has none, and a single file.
See https://www.sqlite.org/wal.html.
"""

import ctypes
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from minilm_onnx.index.header import has_log

if TYPE_CHECKING:
    import apsw

# How often to try to end the log, since others may end at the same moment.
TRIES = 10
# How long who may only read waits for a log.
PATIENCE_S = 1.0


def log_of(path: Path) -> Path:
    """Give the name of a database's log; SQLite follows links first."""
    real = path.resolve()
    return real.with_name(f"{real.name}-wal")


def shared_memory_of(path: Path) -> Path:
    """Give the name of the file by which the users of a log share its index."""
    real = path.resolve()
    return real.with_name(f"{real.name}-shm")


def lacks_log(path: Path) -> bool:
    """Whether a database says that it has a log, but none lies beside it."""
    return has_log(path) and not log_of(path).exists()


def was_left_alone(path: Path) -> bool:
    """Whether a database that nobody uses lacks its log: it was copied, or moved, without it."""
    if not lacks_log(path):
        return False
    time.sleep(0.05)  # another process may have begun to write just now
    return lacks_log(path)


def warn_without_log(path: Path) -> None:
    """Warn that a database may lack what was in its log."""
    warnings.warn(
        f"{path}: expected its log {path.name}-wal beside it, got none; the database was copied "
        "while it was in use and may lack the last changes: copy both files, or index the texts "
        "again",
        stacklevel=5,
    )


def keep_log(connection: "apsw.Connection") -> None:
    """Keep SQLite from deleting the log with the last connection: only `settle` does.

    Otherwise a database whose last user did not close it would look like one copied without its
    log.
    """
    import apsw

    yes = ctypes.c_int(1)
    connection.file_control("main", apsw.SQLITE_FCNTL_PERSIST_WAL, ctypes.addressof(yes))


def write_ahead(connection: "apsw.Connection", patience_ms: int) -> None:
    """Let readers read while somebody writes, until `settle`.

    Raises:
        apsw.BusyError: somebody used the database without a log for all that time.
    """
    import apsw

    keep_log(connection)
    # SQLite does not wait here for another process that does the same.
    end = time.monotonic() + patience_ms / 1000
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except apsw.BusyError:
            if time.monotonic() > end:
                raise
            time.sleep(0.02)


@contextmanager
def looking(connection: "apsw.Connection") -> Iterator[None]:
    """See one state of a database as long as the block lasts.

    Who may only read cannot look at a log that another process makes or ends at this moment, and
    waits for it.
    """
    import apsw

    end = time.monotonic() + PATIENCE_S
    while True:
        with connection:
            try:
                connection.execute("PRAGMA schema_version").fetchall()
            except (apsw.ReadOnlyError, apsw.CantOpenError):
                if time.monotonic() > end:
                    raise
            else:
                yield
                return
        time.sleep(0.02)


def settle(path: Path) -> None:
    """Put the log into the database and delete it, unless somebody still uses it."""
    import apsw

    with suppress(apsw.Error, OSError):  # the next one to close it tries again
        for _ in range(TRIES):
            # After the first time: others were here as well, and the last of them left no log.
            if not has_log(path):
                return
            connection = apsw.Connection(str(path.absolute()), apsw.SQLITE_OPEN_READWRITE)
            try:
                with suppress(apsw.BusyError):
                    connection.execute("PRAGMA journal_mode = DELETE")
                    return
            finally:
                connection.close()
            if log_of(path).exists():
                return
