"""Texts from a file, a line at a time, with every fault named by its line."""

import gzip
import json
import os
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, cast

from minilm_onnx.errors import InputError, describe, shorten
from minilm_onnx.folder.files import BYTE_ORDER_MARK

GZIP_MAGIC = b"\x1f\x8b"


class TextFile:
    """A file of lines, unpacked if its name ends in .gz; "-" is standard input.

    Attributes:
        name: for messages.
        size: bytes on disk, None where that is unknown.
    """

    def __init__(self, name: str) -> None:
        """Open the file.

        Raises:
            InputError: it cannot be read.
        """
        self.name = "stdin" if name == "-" else name
        self.size: int | None = None
        if name == "-":
            if sys.stdin is None:
                raise InputError("stdin: expected texts, got a closed one; name a file")
            self._raw: BinaryIO = sys.stdin.buffer
        else:
            try:
                self._raw = Path(name).open("rb")  # noqa: SIM115  closed by __exit__
                self.size = os.fstat(self._raw.fileno()).st_size or None
            except (OSError, ValueError) as error:  # ValueError: a name with a NUL
                got = getattr(error, "strerror", error)
                raise InputError(
                    f"{name}: expected a readable file, got {got}; check the path"
                ) from error
        self._lines: BinaryIO = self._raw
        if name.endswith(".gz"):
            self._lines = cast(BinaryIO, gzip.GzipFile(fileobj=self._raw))

    def __enter__(self) -> "TextFile":
        """Give the file itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the file; standard input stays open."""
        if self.name != "stdin":
            self._raw.close()

    def position(self) -> int:
        """Bytes read from disk so far; 0 on a pipe."""
        return self._raw.tell() if self.size is not None else 0

    def lines(self) -> Iterator[bytes]:
        """Give the lines, without their line ends.

        Raises:
            InputError: reading or unpacking failed.
        """
        number = 0
        try:
            for number, line in enumerate(self._lines, 1):
                if number == 1:
                    line = line.removeprefix(BYTE_ORDER_MARK)
                    if not line:  # a file of that mark alone has no line
                        return
                yield line.removesuffix(b"\n").removesuffix(b"\r")
        except (OSError, EOFError, zlib.error) as error:
            raise InputError(
                f"{self.name}: expected to read on after line {number}, got {error}; check the file"
            ) from error


def read_texts(source: TextFile, field: str | None) -> Iterator[str]:
    """Give the texts of a file.

    Args:
        source: the file.
        field: None for one text a line; else the field that holds the text in JSON lines.

    Raises:
        InputError: a line is not UTF-8, not a JSON object, or lacks the field; it is named.
    """
    return (text for _, text in read_lines(source, field))


def read_lines(source: TextFile, field: str | None) -> Iterator[tuple[str, str]]:
    """Give the lines of a file, and the text of each; see `read_texts`."""
    for number, line in enumerate(source.lines(), 1):
        at = f"{source.name} line {number}"
        try:
            text = line.decode()
        except UnicodeDecodeError as error:
            if number == 1 and line.startswith(GZIP_MAGIC):
                raise InputError(
                    f"{at}: expected UTF-8, got gzip data; name the file with .gz, or zcat it first"
                ) from None
            raise InputError(
                f"{at}: expected UTF-8, got byte 0x{line[error.start]:02X} at column "
                f"{error.start + 1}; convert the file first, for example with iconv"
            ) from None
        yield text, text if field is None else field_of(text, field, at)


def field_of(line: str, field: str, at: str) -> str:
    """Give a field of a line of JSON.

    Args:
        line: the line.
        field: its name.
        at: the file and the line, for errors.

    Raises:
        InputError: the line is no object, or the field is missing or no text.
    """
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{at}: expected a JSON object, got something else ({error}); mend the line, "
            "or leave out --field for plain text"
        ) from None
    if not isinstance(fields, dict) or field not in fields:
        got = (
            f"the fields {shorten(', '.join(fields)) or 'of {}'}"
            if isinstance(fields, dict)
            else describe(fields)
        )
        raise InputError(
            f"{at}: expected a JSON object with the field {field!r}, got {got}; check --field"
        )
    value = fields[field]
    if not isinstance(value, str):
        raise InputError(
            f"{at}: expected a string in {field!r}, got {describe(value)}; convert it first"
        )
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"{at}: expected valid Unicode in {field!r}, got the lone surrogate "
            f"U+{ord(value[error.start]):04X} at character {error.start}; mend the file"
        ) from None
    return value
