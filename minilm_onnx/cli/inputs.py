"""The file of texts that a command is given; for those that compare all, its rows embedded."""

import argparse
import sys
from contextlib import AbstractContextManager
from dataclasses import dataclass

from minilm_onnx.arrays import Matrix
from minilm_onnx.cli.options import add_field, show_bar
from minilm_onnx.encoder import SentenceEncoder
from minilm_onnx.errors import InputError
from minilm_onnx.progress import named_bar
from minilm_onnx.reading.guesses import CR
from minilm_onnx.reading.rows import Row, Rows, open_rows
from minilm_onnx.text.reports import tallied

FILE = (
    "one text per line, JSON lines, .csv, .tsv, .parquet or .arrow, by its suffix; .gz is "
    "unpacked; - is stdin"
)
# Texts that take seconds to embed.
MANY = 1000
# Cosines to hold at a time.
MOST_COSINES = 2**24


@dataclass(frozen=True)
class EmbeddedRows:
    """The rows of a file, and the vectors of those that are not blank.

    Attributes:
        head: what stands before the rows; see `Rows`.
        note: what the model did not see and which field was read, to go behind a summary; "" where
            there is nothing to say.
        rows: all of them.
        texts: those that are not blank, N.
        vectors: (N, H) float32 unit rows.
        cut: whether the model did not read a text whole, N.
        show_bar: whether a bar is shown while they are compared.
    """

    head: str | None
    note: str
    rows: list[Row]
    texts: list[Row]
    vectors: Matrix
    cut: list[bool]
    show_bar: bool

    @property
    def batch_size(self) -> int:
        """How many to compare with all at a time, so that their cosines take little memory."""
        return min(1024, max(1, MOST_COSINES // len(self.texts)))


def add_file(parser: argparse.ArgumentParser) -> None:
    """Add FILE and --field."""
    parser.add_argument("file", metavar="FILE", help=FILE)
    add_field(parser)


def open_input(options: argparse.Namespace) -> AbstractContextManager[Rows]:
    """Open the file and the --field that the options name.

    Raises:
        InputError: it cannot be read.
    """
    say_waiting(options.file, options.field)
    return open_rows(options.file, options.field)


def say_waiting(name: str, field: str | None) -> None:
    """Say it on stderr where a command waits for somebody to type.

    Args:
        name: of the file; "-" is standard input.
        field: that holds the text of each row; None of plain lines.
    """
    if name != "-" or sys.stdin is None or not sys.stdin.isatty():
        return
    row = "text" if field is None else "JSON object"
    print(
        f"waiting for standard input: one {row} per line, Ctrl-D to end; --help names the files "
        "that can be read instead",
        file=sys.stderr,
    )


def note_of_field(options: argparse.Namespace, field: str | None, seems: str = "") -> str:
    """Say which field was read where the options name none; it goes behind a summary.

    Args:
        options: of the command.
        field: that was read; None of plain lines.
        seems: see `Rows`; it is said that they were taken as they are.
    """
    if seems == CR:
        return (
            "; its lines seem to end in CR alone and were taken for one, tr '\\r' '\\n' parts them"
        )
    if seems:
        known = "--field NAME reads a field of each" if seems == "JSON" else "name it .csv or .tsv"
        return f"; its lines seem to be {seems} and were taken as they are, {known}"
    if options.field is not None or field is None:
        return ""
    return f"; read the field {field!r} of each row, --field NAME for another"


def read_and_embed(
    options: argparse.Namespace, encoder: SentenceEncoder, most: int | None = None
) -> EmbeddedRows:
    """Read the file and the --field that the options name, and embed its texts.

    Raises:
        InputError: the file cannot be read, or has no texts, or more than `most`.
    """
    with open_input(options) as source:
        rows = list(source.rows)
        texts = [row for row in rows if row.text.strip()]
        if not texts or (most is not None and len(texts) > most):
            limit = "" if most is None else f", at most {most}"
            raise InputError(
                f"{source.name}: expected lines of text{limit}, got {len(texts)}; check the file"
            )
    shown = show_bar(hint=len(texts) >= MANY)
    with named_bar("embed", len(texts), show=shown) as done:
        vectors, reports = encoder.embed_texts([row.text for row in texts], done=done)
    note = tallied(reports).said(encoder.max_seq_length) + note_of_field(
        options, source.field, source.seems
    )
    cut = [report.cut for report in reports]
    return EmbeddedRows(source.head, note, rows, texts, vectors, cut, shown)
