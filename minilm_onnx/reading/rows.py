"""The rows of a file of any kind, for callers that take one text per row.

| name ends in (.gz taken off) | a row is | its text |
| --- | --- | --- |
| .jsonl .ndjson | a line that is not blank | a field of the object there |
| .csv .tsv | a row below the first | a column |
| .parquet .arrow | a row | a column of texts |
| anything else; standard input | a line | the line |
| the same, with a field asked for | a line that is not blank | the field of the object there |

The field or column is the one that is asked for, else "text", else the only column of a table (of
texts, in .parquet and .arrow).
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any

from minilm_onnx.errors import InputError
from minilm_onnx.reading.columnar import ColumnarFile
from minilm_onnx.reading.columns import FIELD, columns_as_rows, described_by
from minilm_onnx.reading.guesses import seems_to_be
from minilm_onnx.reading.jsonlines import TO_EMBED_LINES, text_and_fields
from minilm_onnx.reading.kinds import JSON_LINES, SEPARATED, is_columnar, is_packed, suffix_of
from minilm_onnx.reading.lines import TextFile
from minilm_onnx.reading.separated import Records

# Blank lines at the beginning behind which it is seen what lines seem to be.
MOST_BLANK = 1000
# What to do about a line that is no JSON in a file whose name does not say that it should be.
TO_EMBED_OTHERS = (
    "fix the line. To embed the lines as plain text, leave out --field; a table is known by its "
    "suffix, .csv or .tsv"
)


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a file.

    Attributes:
        text: what is embedded of it.
        first_line: where it begins, counted from 1; of a table of Arrow's or Parquet's its number.
        last_line: where it ends.
        raw: as it stands in the file, a newline between its lines; "" in such a table.
        is_null: whether such a table has null in place of a text, which is "" then.
        others: the other fields, by their names, where they were asked for.
    """

    text: str
    first_line: int
    last_line: int
    raw: str
    is_null: bool = False
    others: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Rows:
    """An open file of rows.

    Attributes:
        name: for messages.
        rows: each once, as they are read.
        field: that holds their texts; None of plain lines.
        head: what stands in the file before the rows, as in `Row.raw`; None for nothing.
        total: how much there is to read, in bytes or rows of a table; None where that is unknown.
        position: gives how much is read.
        seems: what plain lines seem to be rather than texts; see `guesses.seems_to_be`.
        left_out: the other fields that `Row.others` never has, and why.
    """

    name: str
    rows: Iterator[Row]
    field: str | None
    head: str | None
    total: int | None
    position: Callable[[], int]
    seems: str = ""
    left_out: tuple[str, ...] = ()

    def texts(self) -> Iterator[str]:
        """Give the texts of the rows, blank ones too.

        Raises:
            InputError: one is null.
        """
        for row in self.rows:
            if row.is_null:
                raise InputError(
                    f"{self.name} row {row.first_line}: expected a text, got null; drop such "
                    "rows, or write .parquet or .arrow, where their vector is null too"
                )
            yield row.text


@contextmanager
def open_rows(
    name: str, field: str | None = None, content: bytes | None = None, *, others: bool = False
) -> Iterator[Rows]:
    """Open a file of rows, closed at the end of the block.

    Args:
        name: of the file; "-" is standard input. Its suffix says what it is.
        field: of a row, the field or column that holds its text. None for "text", or the only
            column of a table without one; of plain lines, for the lines as they are.
        content: what is in the file, where it was read before.
        others: whether to give the other fields of rows, too.

    Raises:
        InputError: it cannot be read, or is not what its name says; the line is named.
    """
    if is_columnar(name):
        if is_packed(name):
            raise InputError(
                f"{name}: expected a table without .gz, since its columns are compressed already, "
                "got one with .gz; gunzip it"
            )
        with ColumnarFile(name, field, content) as table:
            count = 0
            names, left_out = described_by(table.schema, table.column) if others else ([], ())

            def counted() -> Iterator[Row]:
                nonlocal count
                for batch, texts in table.batches():
                    rest = columns_as_rows(batch, names)
                    for text, fields in zip(texts, rest, strict=True):
                        count += 1
                        yield Row(text or "", count, count, "", text is None, fields)

            yield Rows(
                table.name,
                counted(),
                table.column,
                None,
                table.rows,
                lambda: count,
                left_out=left_out,
            )
        return
    with TextFile(name, content) as source:
        head, seems = None, ""
        suffix = suffix_of(name)
        if suffix in SEPARATED:
            records = Records(source, field, tabs=suffix == ".tsv")
            field, head, rows = records.field, records.head, _columns(records, others)
        elif suffix in JSON_LINES:
            field = FIELD if field is None else field
            rows = _objects(source, field, others, TO_EMBED_LINES)
        elif field is not None:
            rows = _objects(source, field, others, TO_EMBED_OTHERS)
        else:
            lines = source.lines()
            opening = []
            for line in islice(lines, MOST_BLANK):
                opening.append(line)
                if line.strip():
                    seems = seems_to_be(line)
                    break
            numbered = enumerate(chain(opening, lines), 1)
            rows = (Row(line, number, number, line) for number, line in numbered)
        yield Rows(source.name, rows, field, head, source.size, source.position, seems)


def _columns(records: Records, others: bool) -> Iterator[Row]:
    for one in records:
        rest: dict[str, list[str]] = {}
        if others:
            for place, (name, value) in enumerate(zip(records.names, one.fields, strict=True)):
                if place != records.column and value:  # an empty field is none
                    rest.setdefault(name, []).append(value)
        yield Row(
            one.fields[records.column],
            one.first_line,
            one.last_line,
            one.raw,
            others={name: some if len(some) > 1 else some[0] for name, some in rest.items()},
        )


def _objects(source: TextFile, field: str, others: bool, remedy: str) -> Iterator[Row]:
    """Give a field of JSON lines; blank lines are no rows."""
    for number, line in enumerate(source.lines(), 1):
        if line.strip():
            text, fields = text_and_fields(
                line, field, f"{source.name} line {number}", remedy=remedy
            )
            rest = {name: fields[name] for name in fields if name != field} if others else {}
            yield Row(text, number, number, line, others=rest)
