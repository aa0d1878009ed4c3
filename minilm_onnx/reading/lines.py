"""The lines of a text file: opened, unpacked, decoded, every fault named by its line."""

import codecs
import errno
import gzip
import io
import os
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from minilm_onnx.closing import Closing
from minilm_onnx.errors import InputError, shorten
from minilm_onnx.reading.kinds import is_packed

GZIP_MAGIC = b"\x1f\x8b"
# What a database of SQLite begins with.
DATABASE = b"SQLite format 3\0"
PDF = b"%PDF-"
UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
# Bytes in which a file may show that it is no text.
LOOK = 8192
# What is said of a file that is no text.
BINARY = "a binary file; leave it out, or make text of it, for example with pdftotext or pandoc"


class TextFile(Closing):
    """A file of lines, unpacked if its name ends in .gz; "-" is standard input.

    Attributes:
        name: for messages.
        size: bytes on disk, None where that is unknown.
    """

    def __init__(self, name: str, content: bytes | None = None) -> None:
        """Open the file.

        Args:
            name: of the file.
            content: what is in it, where it was read before.

        Raises:
            InputError: it cannot be read, or begins as no text does.
        """
        self.name = "stdin" if name == "-" else name
        self.size: int | None = None
        # As far as one can look without reading: a pipe could not be read twice.
        self._start = b""
        if name == "-":
            if sys.stdin is None:
                raise InputError("stdin: expected texts, got a closed one; name a file")
            self._raw: BinaryIO = sys.stdin.buffer
        else:
            try:
                opened = _opened(name, content)
            except (OSError, ValueError) as error:  # ValueError: a name with a NUL
                got = getattr(error, "strerror", error)
                remedy = "check the path"
                if getattr(error, "errno", None) == errno.ENAMETOOLONG:  # a text, most likely
                    name, remedy = shorten(name), "to give the text itself, put it in a file"
                raise InputError(
                    f"{name}: expected a readable file, got {got}; {remedy}"
                ) from error
            self._raw = opened
            size = os.fstat(opened.fileno()).st_size if content is None else len(content)
            self.size = size or None
            try:
                self._start = opened.peek(LOOK)[:LOOK]
                _refuse_binary(name, self._start)
            except OSError:  # said when it is read
                pass
            except InputError:
                opened.close()
                raise
        self._bytes: BinaryIO = self._raw
        if is_packed(name):
            self._bytes = cast(BinaryIO, gzip.GzipFile(fileobj=self._raw))

    def close(self) -> None:
        """Close the file; standard input stays open."""
        if self.name != "stdin":
            self._raw.close()

    def position(self) -> int:
        """Bytes read from disk so far; 0 on a pipe."""
        return self._raw.tell() if self.size is not None else 0

    def lines(self) -> Iterator[str]:
        """Give the lines, without their line ends.

        Raises:
            InputError: reading or unpacking failed, or a line is not UTF-8.
        """
        for number, line in enumerate(self._split(), 1):
            if number == 1 and _is_utf16(line):
                raise InputError(
                    f"{self.name} line 1: expected UTF-8, got UTF-16; convert the file first, "
                    "for example with iconv -f UTF-16 -t UTF-8"
                )
            try:
                text = line.decode()
            except UnicodeDecodeError as error:
                if number == 1 and line.startswith(GZIP_MAGIC):
                    raise InputError(
                        f"{self.name} line 1: expected UTF-8, got gzip data; name the file with "
                        ".gz, or zcat it first"
                    ) from None
                if b"\0" in self._start and not is_packed(self.name):
                    raise InputError(f"{self.name}: expected text, got {BINARY}") from None
                raise InputError(
                    f"{self.name} line {number}: expected UTF-8, got byte 0x{line[error.start]:02X}"
                    f" at column {error.start + 1}; convert the file first, for example with iconv"
                ) from None
            yield text

    def _split(self) -> Iterator[bytes]:
        number = 0
        try:
            for number, line in enumerate(self._bytes, 1):
                if number == 1:
                    line = line.removeprefix(codecs.BOM_UTF8)
                    if not line:  # a file of that mark alone has no line
                        return
                yield line.removesuffix(b"\n").removesuffix(b"\r")
        except (OSError, EOFError, zlib.error) as error:
            raise InputError(
                f"{self.name}: expected more after line {number}, got {error}; check the file"
            ) from error


def _is_utf16(line: bytes) -> bool:
    """Whether a first line is UTF-16: by its mark, or by the NUL beside each Latin letter."""
    if line.startswith(UTF16):
        return True
    start = line[:LOOK]
    halves = (start[0::2], start[1::2])
    return len(start) > 3 and sum(not half.strip(b"\0") for half in halves) == 1


def _opened(name: str, content: bytes | None) -> io.BufferedReader:
    if content is None:
        return Path(name).open("rb")
    return io.BufferedReader(io.BytesIO(content))


def _refuse_binary(name: str, start: bytes) -> None:
    """Raise InputError if a file begins as no text does, which says more than its wrong byte."""
    if start.startswith(DATABASE):
        raise InputError(f"{name}: expected text, got a database; search it with --db {name}")
    if start.startswith(PDF):
        raise InputError(f"{name}: expected text, got {BINARY}")
