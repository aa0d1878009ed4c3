"""Documents: the texts of files and folders, whatever their format, and where each begins."""

import codecs
import csv
import io
import os
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from minilm_onnx.errors import InputError, shorten
from minilm_onnx.reading.textfile import TextFile, field_of, read_texts

FIELD = "text"
# By the suffix of a name, after .gz is taken off.
MARKDOWN = frozenset({".md", ".markdown"})
JSON_LINES = frozenset({".jsonl", ".ndjson"})
TABLES = {".csv": ",", ".tsv": "\t"}
TEXT = frozenset({".txt", ".text", ".rst", ".adoc", ".org", ".tex"})
# What a database of SQLite begins with.
DATABASE = b"SQLite format 3\0"
SUFFIXES = MARKDOWN | JSON_LINES | set(TABLES) | TEXT


@dataclass(frozen=True, slots=True)
class Document:
    """A text, and what it is.

    Attributes:
        text: with a newline, U+000A, at its line ends.
        first_line: where it begins in its file, counted from 1.
        last_line: of a row, where it ends; 0 for a text, whose line ends are those of its file.
        markdown: whether it has headings.
    """

    text: str
    first_line: int = 1
    last_line: int = 0
    markdown: bool = False


def suffix_of(name: str) -> str:
    """Give what a file's name ends with, .gz taken off."""
    return Path(name.lower().removesuffix(".gz")).suffix


@dataclass
class Found:
    """What is in a folder.

    Attributes:
        files: those that can be indexed, in order of their names.
        others: how many files are of another kind.
        closed: folders that cannot be read, and why.
    """

    files: list[Path] = field(default_factory=list)
    others: int = 0
    closed: dict[str, InputError] = field(default_factory=dict)


def find_files(folder: Path) -> Found:
    """Find the files of a folder and those below it whose names end in one of SUFFIXES.

    Hidden ones are left out, and links to folders are not followed.
    """
    found = Found()

    def refuse(error: OSError) -> None:
        found.closed[error.filename] = InputError(
            f"{error.filename}: expected a readable folder, got {error.strerror}; "
            "check the permissions"
        )

    for name, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = sorted(inner for inner in folders if not inner.startswith("."))
        for file in sorted(files):
            if file.startswith("."):
                continue
            if suffix_of(file) in SUFFIXES:
                found.files.append(Path(name, file))
            else:
                found.others += 1
    return found


def read_documents(path: Path, column: str | None = None, *, lines: bool = False) -> list[Document]:
    """Read the documents of a file: one of text or Markdown, one a row of JSON lines or a table.

    Args:
        path: a file; what its name ends with says what it is, and .gz is unpacked. A name that
            ends in none of SUFFIXES is text.
        column: of a row, the field that holds its text; None for "text".
        lines: whether each line of text, but not of Markdown, is a document of its own; with a
            field a JSON object.

    Returns:
        Those that are not blank.

    Raises:
        InputError: it cannot be read, or is not what its name says; the line is named.
    """
    suffix = suffix_of(path.name)
    refuse_binary(path)
    with TextFile(str(path)) as source:
        if suffix in JSON_LINES or (lines and column is not None and not has_own_form(suffix)):
            found = list(_objects(source, column or FIELD))
        elif suffix in TABLES:
            found = list(_rows(source, column or FIELD, TABLES[suffix]))
        else:
            texts = _plain(source)
            if lines and suffix not in MARKDOWN:
                found = [Document(text, number) for number, text in enumerate(texts, 1)]
            else:
                found = [Document("\n".join(texts), markdown=suffix in MARKDOWN)]
    return [document for document in found if document.text.strip()]


def has_own_form(suffix: str) -> bool:
    """Whether a file of that suffix is Markdown or rows, whatever is asked for."""
    return suffix in MARKDOWN or suffix in JSON_LINES or suffix in TABLES


def refuse_binary(path: Path) -> None:
    """Raise InputError if a file begins as no text does, which says more than its first wrong byte.

    One that cannot be read is left to who opens it.
    """
    try:
        with path.open("rb") if path.is_file() else nullcontext(io.BytesIO()) as file:
            start = file.read(8192)
    except (OSError, ValueError):
        return
    if start.startswith(DATABASE):
        raise InputError(f"{path}: expected text, got a database; search it with --db {path}")
    utf16 = start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    packed = suffix_of(path.name) != path.suffix.lower()
    if start.startswith(b"%PDF-") or (b"\0" in start and not utf16 and not packed):
        raise InputError(
            f"{path}: expected text, got a binary file; leave it out, or make text of it, for "
            "example with pdftotext or pandoc"
        )


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


def _objects(source: TextFile, field: str) -> Iterator[Document]:
    """Give a field of JSON lines; blank lines are none."""
    for number, line in enumerate(read_texts(source, None), 1):
        if line.strip():
            text = field_of(line, field, f"{source.name} line {number}")
            yield Document(text, number, number)


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
                text = row[place].replace("\r\n", "\n")
                yield Document(text, first, reader.line_num)
            first = reader.line_num + 1
    except csv.Error as error:
        raise InputError(
            f"{source.name} line {first}: expected fields with {delimiter!r} between them, got "
            f"something else ({error}); mend the row"
        ) from error


def _ended(lines: Iterable[str]) -> Iterator[str]:
    """Put back the line ends, which a field in quotes may hold."""
    return (f"{line}\n" for line in lines)
