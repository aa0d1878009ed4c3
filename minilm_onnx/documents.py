"""Documents: the texts of files and folders, whatever their format, and where each begins."""

import csv
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from minilm_onnx.errors import InputError, shorten
from minilm_onnx.reading import TextFile, read_texts

FIELD = "text"
# By the suffix of a name, after .gz is taken off.
MARKDOWN = frozenset({".md", ".markdown"})
JSON_LINES = frozenset({".jsonl", ".ndjson"})
TABLES = {".csv": ",", ".tsv": "\t"}
TEXT = frozenset({".txt", ".text", ".rst"})
SUFFIXES = MARKDOWN | JSON_LINES | set(TABLES) | TEXT


@dataclass(frozen=True, slots=True)
class Document:
    """A text, and what it is.

    Attributes:
        text: with a newline, U+000A, at its line ends.
        first_line: where it begins in its file, counted from 1.
        markdown: whether it has headings.
    """

    text: str
    first_line: int = 1
    markdown: bool = False


def suffix_of(name: str) -> str:
    """Give what a file's name ends with, .gz taken off."""
    return Path(name.lower().removesuffix(".gz")).suffix


def find_files(folder: Path) -> Iterator[Path]:
    """Give the files of a folder and those below it that can be indexed, in order of their names.

    Hidden ones are left out, and links to folders are not followed.

    Raises:
        InputError: a folder cannot be read.
    """

    def refuse(error: OSError) -> None:
        raise InputError(
            f"{error.filename}: expected a readable folder, got {error.strerror}; "
            "check the permissions"
        ) from error

    for name, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = sorted(inner for inner in folders if not inner.startswith("."))
        for file in sorted(files):
            if not file.startswith(".") and suffix_of(file) in SUFFIXES:
                yield Path(name, file)


def read_documents(path: Path, field: str | None = None, *, lines: bool = False) -> list[Document]:
    """Read the documents of a file: one of text or Markdown, one a row of JSON lines or a table.

    Args:
        path: a file; what its name ends with says what it is, and .gz is unpacked. A name that
            ends in none of SUFFIXES is text.
        field: of a row, the field that holds its text; None for "text".
        lines: whether each line of text, but not of Markdown, is a document of its own.

    Returns:
        Those that are not blank.

    Raises:
        InputError: it cannot be read, or is not what its name says; the line is named.
    """
    suffix = suffix_of(path.name)
    with TextFile(str(path)) as source:
        if suffix in JSON_LINES:
            found = [
                Document(text, n) for n, text in enumerate(read_texts(source, field or FIELD), 1)
            ]
        elif suffix in TABLES:
            found = list(_rows(source, field or FIELD, TABLES[suffix]))
        else:
            texts = _plain(source)
            if lines and suffix not in MARKDOWN:
                found = [Document(text, number) for number, text in enumerate(texts, 1)]
            else:
                found = [Document("\n".join(texts), markdown=suffix in MARKDOWN)]
    return [document for document in found if document.text.strip()]


def _plain(source: TextFile) -> Iterator[str]:
    """Give the lines of a text.

    Raises:
        InputError: it is no text.
    """
    for number, text in enumerate(read_texts(source, None), 1):
        if "\0" in text:
            raise InputError(
                f"{source.name} line {number}: expected text, got a NUL byte, as binary files "
                "have; leave the file out, or convert it first"
            )
        yield text


def _rows(source: TextFile, field: str, delimiter: str) -> Iterator[Document]:
    """Give a column of a table.

    Raises:
        InputError: it is no table, or has no such column.
    """
    csv.field_size_limit(2**31 - 1)  # the module's own limit, 128 KiB, is less than a document
    reader = csv.reader(_ended(_plain(source)), delimiter=delimiter, strict=True)
    place, first, width = -1, 1, 0
    try:
        for row in reader:
            if place < 0:
                width = len(row)
                if field not in row:
                    raise InputError(
                        f"{source.name} line 1: expected a column {field!r}, got the columns "
                        f"{shorten(', '.join(row)) or 'of nothing'}; choose one with --field"
                    )
                place = row.index(field)
            elif row and len(row) != width:
                raise InputError(
                    f"{source.name} line {first}: expected {width} fields as in line 1, "
                    f"got {len(row)}; mend the row"
                )
            elif row:
                yield Document(row[place].replace("\r\n", "\n"), first)
            first = reader.line_num + 1
    except csv.Error as error:
        raise InputError(
            f"{source.name} line {first}: expected fields with {delimiter!r} between them, got "
            f"something else ({error}); mend the row"
        ) from error


def _ended(lines: Iterable[str]) -> Iterator[str]:
    """Put back the line ends, which a field in quotes may hold."""
    return (f"{line}\n" for line in lines)
