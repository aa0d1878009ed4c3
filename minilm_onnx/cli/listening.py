"""Where a server listens: an address and a port, or a Unix socket."""

import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from minilm_onnx.errors import MiniLMError

# Connections that wait until a process takes them.
BACKLOG = 2048
CAUSES = {
    errno.EADDRINUSE: "it is in use; choose another with {option}",
    errno.EACCES: "permission is denied; choose another with {option} (ports below 1024 may need "
    "root)",
    errno.EPERM: "permission is denied; choose another with {option}",
    errno.EADDRNOTAVAIL: "this machine does not have that address; see --host",
    errno.ENOENT: "the folder does not exist; create it first",
    errno.ENOTDIR: "the path goes through a file; choose another",
    errno.ENAMETOOLONG: "the path is too long; choose a shorter one",
}


@contextmanager
def bound(host: str, port: int) -> Iterator[socket.socket]:
    """Give a socket of an address, that does not listen yet.

    Raises:
        MiniLMError: it cannot be had; the cause is named.
    """
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise _refused(where, "that name has no address; see --host") from error
    # As 127.0.0.1 where a name, as localhost, leads to ::1 as well.
    family, _, _, _, address = min(found, key=lambda one: one[0] != socket.AF_INET)
    with _made(family, where) as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind(address)
        except OSError as error:
            raise _refused(where, _cause(error, one.family)) from error
        yield one


@contextmanager
def bound_file(path: Path) -> Iterator[socket.socket]:
    """Give a Unix socket, that does not listen yet; everybody on this machine may use it.

    Its file is removed in the end.

    Raises:
        MiniLMError: it cannot be had; the cause is named.
    """
    where = str(path)
    with _made(socket.AF_UNIX, where) as one:
        try:
            _remove_left(path)
            one.bind(where)
        except OSError as error:
            if "too long" in str(error):  # Python's own, without a number
                error = OSError(errno.ENAMETOOLONG, str(error))
            raise _refused(where, _cause(error, one.family)) from error
        mine = _identity(path)
        try:
            path.chmod(0o666)
            yield one
        finally:
            # Another server may have taken the place while this one ended.
            with suppress(FileNotFoundError):
                if _identity(path) == mine:
                    path.unlink()


def listen(one: socket.socket, where: str) -> None:
    """Let clients connect, from now on.

    Raises:
        MiniLMError: another process was faster.
    """
    try:
        one.listen(BACKLOG)
    except OSError as error:
        raise _refused(where, _cause(error, one.family)) from error


def _made(family: int, where: str) -> socket.socket:
    try:
        return socket.socket(family)
    except OSError as error:  # without IPv6, say
        raise _refused(where, _cause(error, family)) from error


def _cause(error: OSError, family: int) -> str:
    option = "--unix-socket FILE" if family == getattr(socket, "AF_UNIX", None) else "--port N"
    said = error.strerror or str(error)
    cause = CAUSES.get(error.errno or 0)
    return cause.format(option=option) if cause else f"{said[:1].lower()}{said[1:]}; choose another"


def _refused(where: str, cause: str) -> MiniLMError:
    return MiniLMError(f"{where}: expected to listen there, but {cause}")


def _identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_ino, found.st_mtime_ns


def _remove_left(path: Path) -> None:
    """Remove a socket that a server which was killed has left behind."""
    if not path.is_socket():
        return
    with socket.socket(socket.AF_UNIX) as one:
        try:
            one.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
