"""The first bytes of a database file, looked at without SQLite.

https://www.sqlite.org/fileformat.html
"""

import codecs
from pathlib import Path

MAGIC = b"SQLite format 3\0"
# Says whose it is: "MLMX"; and where that stands.
APPLICATION, APPLICATION_AT = 0x4D4C4D58, 68
# Says that it has a write-ahead log; and where that stands.
WITH_LOG, WITH_LOG_AT = b"\2\2", 18
# SQLite's page, in bytes.
PAGE = 4096


def has_log(path: Path) -> bool:
    """Whether a database says that it has a log."""
    start = _start(path)
    return start.startswith(MAGIC) and start.startswith(WITH_LOG, WITH_LOG_AT)


def may_be_damaged(path: Path) -> bool:
    """Whether a file that is no database may have been an index: whole pages of binary data."""
    start = _start(path)
    if start and MAGIC.startswith(start[: len(MAGIC)]):
        return True
    if start.startswith(APPLICATION.to_bytes(4, "big"), APPLICATION_AT):
        return True
    pages, rest = divmod(path.stat().st_size, PAGE)
    return pages > 1 and not rest and not _is_text(start)


def _start(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(PAGE)
    except OSError:  # said when it is opened as a database
        return b""


def _is_text(start: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(start)  # whose end may be half a character
    except UnicodeDecodeError:
        return False
    return b"\0" not in start
