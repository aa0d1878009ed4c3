"""The file of an index: connections for threads and processes, who may write, who waits."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from minilm_onnx.errors import InputError, importing
from minilm_onnx.index.journal import (
    keep_log,
    lacks_log,
    looking,
    settle,
    warn_without_log,
    was_left_alone,
    write_ahead,
)
from minilm_onnx.index.schema import Facts, check_format, is_empty, make_tables
from minilm_onnx.index.sqlite import PATIENCE_MS, connect, damaged, in_words

if TYPE_CHECKING:
    import apsw


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

        Warns:
            UserWarning: it was copied without its log, and may lack the last changes.
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
        self._is_ours = False  # whether it is known to be an index
        self._frozen = False  # whether it is read as if nobody could change it
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
        alone = was_left_alone(path)
        try:
            with self.reading() as connection:
                check_format(connection, path)
                if is_empty(connection) and not create:
                    raise InputError(
                        f"{path}: expected an index, got a database with nothing in it"
                        f"{', and without its log' if alone else ''}; make one: minilm-onnx index"
                    )
                if self.writable:
                    keep_log(connection)
        except BaseException:
            for connection in self._connections.values():
                connection.close()
            raise
        self._is_ours = True
        if alone:
            warn_without_log(path)

    @contextmanager
    def reading(self) -> Iterator["apsw.Connection"]:
        """Give a connection that sees one state of the database as long as the block lasts."""
        with self._guarded() as connection, looking(connection):
            yield connection

    @contextmanager
    def writing(self) -> Iterator["apsw.Connection"]:
        """Give a connection whose changes become visible at once when the block ends well."""
        with self._guarded() as connection:
            write_ahead(connection, PATIENCE_MS)
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    def make_index(self, facts: Facts) -> None:
        """Make the tables, unless another process was quicker."""
        with self.reading() as connection:
            if not is_empty(connection):
                return
        with self.writing() as connection:
            if is_empty(connection):
                make_tables(connection, facts)

    @contextmanager
    def snapshot(self) -> Iterator["apsw.Connection"]:
        """Give a connection of its own that sees one state of the database, for a long look."""
        import apsw

        with self._guarded():
            connection = self._connect(create=False)
            try:
                if can_write(self.path):
                    with suppress(apsw.BusyError):  # else who wants to write waits till it ends
                        write_ahead(connection, 0)
                with looking(connection):
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
            if self._is_ours and self.writable and not self._connections:
                settle(self.path)

    @contextmanager
    def _guarded(self) -> Iterator["apsw.Connection"]:
        """Put SQLite's errors into words."""
        with importing("index", "apsw", "search"):
            import apsw
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
            raise InputError(
                f"{self.path}: expected an open index, got a closed one; open it again"
            )
        if self._pid != os.getpid():
            # The parent's: SQLite wants them neither used nor closed here.
            self._left_behind.append(self._connections)
            self._forget()
        thread = threading.current_thread()
        connection = self._connections.get(thread)
        if connection is not None and self._frozen and not lacks_log(self.path):
            connection.close()  # somebody began to write, of which it takes no notice
            connection = None
        if connection is None:
            # Only the first time: in the place of one that was deleted, an empty one would be made.
            connection = self._connect(create=self._create and not self._is_ours)
            with self._lock:
                for ended in [thread for thread in self._connections if not thread.is_alive()]:
                    self._connections.pop(ended).close()
                self._connections[thread] = connection
        return connection

    def _connect(self, *, create: bool) -> "apsw.Connection":
        writable = can_write(self.path)
        self._frozen = not writable and lacks_log(self.path)
        connection = connect(self.path, writable=writable, create=create, frozen=self._frozen)
        if writable and self._is_ours:
            keep_log(connection)
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
        raise InputError(f"{path}: expected a readable path, got {got}; check it") from error
    return True


def can_write(path: Path) -> bool:
    """Whether a database can be changed, for which SQLite needs its folder as well."""
    real = path.resolve()
    needed = [real.parent, *([real] if is_there(real) else [])]
    effective = os.access in os.supports_effective_ids
    return all(os.access(place, os.W_OK, effective_ids=effective) for place in needed)
