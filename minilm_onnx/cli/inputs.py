"""A file of texts, given to a command that compares them all."""

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from minilm_onnx.arrays import Matrix
from minilm_onnx.cli.options import add_field, show_bar
from minilm_onnx.encoder import SentenceEncoder
from minilm_onnx.errors import InputError
from minilm_onnx.reading.rows import Row, Rows, open_rows

FILE = (
    "one text a line, JSON lines, .csv, .tsv, .parquet or .arrow, by its suffix; .gz is unpacked; "
    "- is stdin"
)
# Cosines to hold at a time.
MOST_COSINES = 2**24


@dataclass(frozen=True)
class Embedded:
    """The rows of a file, and the vectors of those that are not blank.

    Attributes:
        head: what stands before the rows; see `Rows`.
        rows: all of them.
        texts: those that are not blank, N.
        vectors: (N, H) float32 unit rows.
    """

    head: str | None
    rows: list[Row]
    texts: list[Row]
    vectors: Matrix

    @property
    def batch_size(self) -> int:
        """How many to compare with all at a time, so that their cosines take little memory."""
        return min(1024, max(1, MOST_COSINES // len(self.texts)))


def add_file(parser: argparse.ArgumentParser) -> None:
    """Add FILE and --field."""
    parser.add_argument("file", metavar="FILE", help=FILE)
    add_field(parser)


@contextmanager
def open_input(options: argparse.Namespace) -> Iterator[Rows]:
    """Open the file and the --field that the options name; say which field it is, if none was.

    Raises:
        InputError: it cannot be read.
    """
    with open_rows(options.file, options.field) as source:
        if options.field is None and source.field is not None:
            print(
                f"{source.name}: the field {source.field!r} of each row; --field NAME for another",
                file=sys.stderr,
            )
        yield source


def read_and_embed(
    options: argparse.Namespace, encoder: SentenceEncoder, most: int | None = None
) -> Embedded:
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
    vectors = encoder.encode([row.text for row in texts], show_progress_bar=show_bar())
    return Embedded(source.head, rows, texts, vectors)
