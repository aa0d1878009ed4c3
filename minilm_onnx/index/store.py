"""The file of an index: connections for threads and processes, who may write, who waits."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from minilm_onnx.errors import InputError, importing
from minilm_onnx.index.schema import Facts, check_format, is_empty, make_tables
from minilm_onnx.index.sqlite import connect, damaged, in_words, write_ahead

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

    def make_index(self, facts: Facts) -> None:
        """Make the tables, unless another process was quicker."""
        with self.reading() as connection:
            if not is_empty(connection):
                return
        with self._guarded() as connection:
            write_ahead(connection)
        with self.writing() as connection:
            if is_empty(connection):
                make_tables(connection, facts)

    @contextmanager
    def snapshot(self) -> Iterator["apsw.Connection"]:
        """Give a connection of its own that sees one state of the database, for a long look."""
        with self._guarded():
            connection = connect(self.path, writable=can_write(self.path), create=False)
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
            raise InputError(f"{self.path}: expected an open index, got a closed one; open it anew")
        if self._pid != os.getpid():
            # The parent's: SQLite wants them neither used nor closed here.
            self._left_behind.append(self._connections)
            self._forget()
        thread = threading.current_thread()
        connection = self._connections.get(thread)
        if connection is None:
            connection = connect(self.path, writable=can_write(self.path), create=self._create)
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
