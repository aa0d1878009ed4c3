"""What to say of an error of the system that no command expected: whose it is, and why."""

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from minilm_onnx.errors import InputError, MiniLMError, shorten

STDOUT = "stdout"
# What is wrong with a name that was given, and not with the machine.
WRONG_NAMES = {
    *(errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP),
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.EEXIST),
}


class _Marked(io.FileIO):
    """A file whose errors in writing say that they are of stdout."""

    def write(self, data: object) -> int:
        try:
            return super().write(data)  # type: ignore[arg-type]  # whatever it takes
        except OSError as error:
            error.filename = STDOUT
            raise


@contextmanager
def marked_stdout() -> Iterator[None]:
    """Let errors of standard output be told from those of files, and print any character to it."""
    given = sys.stdout
    if not isinstance(given, io.TextIOWrapper):  # closed, or another program's own
        yield
        return
    given.reconfigure(errors="backslashreplace")  # as stderr, where it is not UTF-8
    raw = getattr(given.buffer, "raw", given.buffer)
    if type(raw) is not io.FileIO:  # in tests; the console of Windows
        yield
        return
    marked = _Marked(raw.fileno(), "wb", closefd=False)
    sys.stdout = io.TextIOWrapper(
        marked if raw is given.buffer else io.BufferedWriter(marked),
        encoding=given.encoding,
        errors=given.errors,
        line_buffering=given.line_buffering,
        write_through=given.write_through,
    )
    try:
        yield
    finally:
        sys.stdout = given


def explained(error: OSError) -> MiniLMError:
    """Name the file of an error of the system, and what is wrong with it."""
    got = error.strerror or str(error)
    if error.filename == STDOUT:
        return MiniLMError(
            f"stdout: expected to continue writing, got {got}; free some space or use --out"
        )
    if error.filename is not None:
        name = error.filename if isinstance(error.filename, int) else os.fsdecode(error.filename)
        said = f"{shorten(str(name))}: expected to use it, got {got}; check path and permissions"
    elif _here_is_gone():
        said = f"the current folder: expected one that exists, got {got}; go to another"
    else:
        said = f"the system: expected it to do as asked, got {got}"
    return (InputError if error.errno in WRONG_NAMES else MiniLMError)(said)


def _here_is_gone() -> bool:
    try:
        os.getcwd()  # noqa: PTH109  # Path has the same
    except OSError:
        return True
    return False
