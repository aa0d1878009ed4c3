"""Documents: texts of any length, and what each is; a file is one, or as many as it has rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from minilm_onnx.errors import InputError
from minilm_onnx.reading.frontmatter import front_metadata
from minilm_onnx.reading.kinds import JSON_LINES, MARKDOWN, ROWS, suffix_of
from minilm_onnx.reading.lines import BINARY, TextFile
from minilm_onnx.reading.metadata import kept
from minilm_onnx.reading.rows import open_rows

# What ends a line for Unicode, but not for a file: the vertical tab, separators, the next line.
LINE_ENDS = str.maketrans(dict.fromkeys("\v\x1c\x1d\x1e\x85", "\n"))


@dataclass(frozen=True, slots=True)
class Document:
    """A text, and what it is.

    Attributes:
        text: with a newline, U+000A, at its line ends.
        first_line: where it begins in its file, counted from 1.
        last_line: of a row, where it ends; 0 for a text, whose line ends are those of its file.
        markdown: whether it has headings.
        metadata: what it says of itself, as `kept` gives it: the other fields of a row, the front
            matter of Markdown.
        left_out: what is not in `metadata` of that, and why.
    """

    text: str
    first_line: int = 1
    last_line: int = 0
    markdown: bool = False
    metadata: Mapping[str, Any] = field(default_factory=dict, hash=False)
    left_out: tuple[str, ...] = ()


def text_document(text: str, *, markdown: bool) -> Document:
    """Make a document of a text; of Markdown with its front matter as metadata."""
    metadata, left_out = front_metadata(text) if markdown else ({}, ())
    return Document(text, markdown=markdown, metadata=metadata, left_out=left_out)


def read_documents(
    path: Path, field: str | None = None, *, lines: bool = False, content: bytes | None = None
) -> list[Document]:
    """Read the documents of a file: one of text or Markdown, one a row of what has rows.

    Args:
        path: the file; "-" is standard input. Its suffix says what it is, see `open_rows`, and one
            that says nothing is text.
        field: of a row, the field that holds its text; see `open_rows`. Text has no fields, but
            for JSON in its lines.
        lines: whether each line of text, but not of Markdown, is a row; see `pages`, too.
        content: what is in the file, where it was read before.

    Returns:
        Those that are not blank.

    Raises:
        InputError: it cannot be read, or is not what its name says; the line is named.
    """
    name = str(path)
    suffix = suffix_of(name)
    plain = suffix not in ROWS and suffix not in MARKDOWN
    if suffix in ROWS or (lines and plain):
        with open_rows(name, field, content, others=True) as opened:
            # Of a row of a table or of JSON, pages are divided where passages are made of it.
            divided = _lines if plain and field is None else _whole
            found = []
            for row in opened.rows:
                metadata, left_out = kept(row.others)
                found += [
                    Document(
                        text,
                        row.first_line,
                        row.last_line,
                        metadata=metadata,
                        left_out=opened.left_out + left_out,
                    )
                    for text in divided(row.text)
                ]
    elif field is not None:
        got = "plain text; add --lines for JSON lines" if plain else "Markdown; leave it out"
        raise InputError(f"--field {field}: expected rows in {name}, got {got}")
    else:
        with TextFile(name, content) as source:
            found = [text_document("\n".join(source.lines()), markdown=suffix in MARKDOWN)]
    is_json = suffix in JSON_LINES or (plain and field is not None)
    if not is_json:  # where it is written as \u0000, on purpose
        _refuse_nul(name, found)
    return [document for document in found if document.text.strip()]


def pages(text: str) -> list[str]:
    """Divide a text at form feeds, which stand between the pages and slides of pdftotext.

    Other characters that end a line, as the vertical tab, become U+000A. The model takes each of
    them for nothing, and reads the words around it as one.
    """
    return text.translate(LINE_ENDS).split("\f")


def _lines(text: str) -> list[str]:
    return [line for page in pages(text) for line in page.split("\n")]


def _whole(text: str) -> list[str]:
    return [text]


def _refuse_nul(name: str, documents: Sequence[Document]) -> None:
    for document in documents:
        before, nul, _ = document.text.partition("\0")
        if nul:
            line = document.first_line + before.count("\n")
            raise InputError(f"{name} line {line}: expected text, got a NUL byte, as in {BINARY}")
