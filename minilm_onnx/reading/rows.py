"""The rows of a file of any kind, for who takes one text a row.

| name ends in (.gz taken off) | a row is | its text |
| --- | --- | --- |
| .jsonl .ndjson | a line that is not blank | a field of the object there |
| .csv .tsv | a row below the first | a column |
| .parquet .arrow | a row | a column |
| anything else; standard input | a line | the line |
| the same, with a field asked for | a line that is not blank | the field of the object there |
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from minilm_onnx.errors import InputError
from minilm_onnx.reading.columnar import Table
from minilm_onnx.reading.jsonlines import field_of
from minilm_onnx.reading.kinds import JSON_LINES, SEPARATED, is_packed, is_table, suffix_of
from minilm_onnx.reading.lines import TextFile
from minilm_onnx.reading.separated import Records

# Where no other is asked for.
FIELD = "text"


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a file.

    Attributes:
        text: what is embedded of it.
        first_line: where it begins, counted from 1; of a table of Arrow's or Parquet's its number.
        last_line: where it ends.
        raw: as it stands in the file, a newline between its lines; "" in such a table.
    """

    text: str
    first_line: int
    last_line: int
    raw: str


@dataclass(frozen=True)
class Rows:
    """An open file of rows.

    Attributes:
        name: for messages.
        rows: each once, as they are read.
        field: that holds their texts; None of plain lines.
        head: what stands in the file before the rows, as in `Row.raw`; None for nothing.
        total: how much there is to read, None where that is unknown.
        unit: of `total` and `position`: "B" for bytes, or "row".
        position: gives how much is read.
    """

    name: str
    rows: Iterator[Row]
    field: str | None
    head: str | None
    total: int | None
    unit: str
    position: Callable[[], int]


@contextmanager
def open_rows(name: str, field: str | None = None) -> Iterator[Rows]:
    """Open a file of rows, closed at the end of the block.

    Args:
        name: of the file; "-" is standard input. Its suffix says what it is.
        field: of a row, the field or column that holds its text. None for "text", or a table's
            only column of texts; of plain lines, for the lines as they are.

    Raises:
        InputError: it cannot be read, or is not what its name says; the line is named.
    """
    if is_table(name):
        if is_packed(name):
            raise InputError(
                f"{name}: expected a table without .gz, since its columns are packed one by one, "
                "got a packed one; gunzip it"
            )
        with Table(name, field) as table:
            count = 0

            def counted() -> Iterator[Row]:
                nonlocal count
                for count, text in enumerate(table.texts(), 1):
                    yield Row(text, count, count, "")

            yield Rows(table.name, counted(), table.column, None, table.rows, "row", lambda: count)
        return
    with TextFile(name) as source:
        head = None
        suffix = suffix_of(name)
        if suffix in SEPARATED or suffix in JSON_LINES:
            field = field or FIELD
        if field is not None and suffix in SEPARATED:
            records = Records(source, field, tabs=suffix == ".tsv")
            head, rows = records.head, _columns(records)
        elif field is not None:
            rows = _objects(source, field)
        else:
            lines = enumerate(source.lines(), 1)
            rows = (Row(line, number, number, line) for number, line in lines)
        yield Rows(source.name, rows, field, head, source.size, "B", source.position)


def _columns(records: Records) -> Iterator[Row]:
    for one in records:
        yield Row(one.fields[records.column], one.first_line, one.last_line, one.raw)


def _objects(source: TextFile, field: str) -> Iterator[Row]:
    """Give a field of JSON lines; blank lines are no rows."""
    for number, line in enumerate(source.lines(), 1):
        if line.strip():
            text = field_of(line, field, f"{source.name} line {number}")
            yield Row(text, number, number, line)
