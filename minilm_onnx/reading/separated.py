"""Tables of separated values: .csv as RFC 4180 and Excel write it, .tsv as IANA registers it.

https://www.rfc-editor.org/rfc/rfc4180
https://www.iana.org/assignments/media-types/text/tab-separated-values
"""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass

from minilm_onnx.errors import InputError, shorten
from minilm_onnx.reading.lines import TextFile

# Between the fields of .csv, the likeliest first; Excel writes ";" where "," is in decimals.
DELIMITERS = (",", ";", "\t")
# What Excel writes and reads as the first line, to name the delimiter.
NAMED = re.compile(r'"?sep=(.)"?', re.IGNORECASE)
QUOTED = re.compile(r'"((?:[^"]|"")*)"')


@dataclass(frozen=True, slots=True)
class Record:
    """A row of a table.

    Attributes:
        fields: their texts.
        first_line: where it begins, counted from 1.
        last_line: where it ends; a field in quotes may hold line ends.
        raw: as it stands in the file, a newline between its lines.
    """

    fields: list[str]
    first_line: int
    last_line: int
    raw: str


class Records:
    """The rows of a .csv or .tsv file, of which the first names the columns.

    Attributes:
        head: what stands before the rows, as in `Record.raw`; None in an empty file.
        column: the place of a field in each row.
    """

    def __init__(self, source: TextFile, field: str, *, tabs: bool) -> None:
        """Read the first row.

        Args:
            source: the file.
            field: a column's name.
            tabs: whether it is .tsv.

        Raises:
            InputError: it is no table, or has no such column.
        """
        self._name = source.name
        lines = source.lines()
        self._width = 0
        before = []
        first = next(lines, "")
        delimiter = "\t" if tabs else ""
        if not tabs and (named := NAMED.fullmatch(first)):
            delimiter = named[1]
            before.append(first)
            first = next(lines, "")
        delimiter = delimiter or _delimiter(first, field)

        def rest() -> Iterator[str]:
            yield first
            yield from lines

        read = _tabs if tabs else _commas
        self._records = read(self._name, rest(), delimiter, len(before) + 1)
        header = next((record for record in self._records if record.fields), None)
        self.head: str | None = None
        self.column = 0
        if header is None:  # an empty file has no rows
            return
        self.head = "\n".join([*before, header.raw])
        self._width = len(header.fields)
        if field not in header.fields:
            columns = shorten(", ".join(header.fields))
            raise InputError(
                f"{self._name} line {header.first_line}: expected a column {field!r}, got the "
                f"columns {columns} (with {delimiter!r} between them); choose one with --field"
            )
        self.column = header.fields.index(field)

    def __iter__(self) -> Iterator[Record]:
        """Give the rows below the first; lines without anything are none.

        Raises:
            InputError: a row has another number of fields, or its quotes are wrong.
        """
        for record in self._records:
            if record.fields and len(record.fields) != self._width:
                raise InputError(
                    f"{self._name} line {record.first_line}: expected {self._width} fields as in "
                    f"the first row, got {len(record.fields)}; mend the row (a field with line "
                    "ends or separators needs .csv, and quotes)"
                )
            if record.fields:
                yield record


def _delimiter(header: str, field: str) -> str:
    """Find what stands between the fields: what makes the field one of the first row's."""
    rows = {one: next(csv.reader([header], delimiter=one), []) for one in DELIMITERS}
    having = (one for one, row in rows.items() if field in row)
    return next(having, max(DELIMITERS, key=lambda one: len(rows[one])))


def _commas(name: str, lines: Iterator[str], delimiter: str, first: int) -> Iterator[Record]:
    """Read .csv, whose fields may be in quotes, and then hold line ends."""
    csv.field_size_limit(2**31 - 1)  # the module's own limit, 128 KiB, is less than a document
    held: list[str] = []

    def ended() -> Iterator[str]:
        for line in lines:
            held.append(line)
            yield f"{line}\n"

    reader = csv.reader(ended(), delimiter=delimiter, strict=True)
    try:
        for fields in reader:
            last = first + len(held) - 1
            yield Record(fields, first, last, "\n".join(held))
            first = last + 1
            held.clear()
    except csv.Error as error:
        raise InputError(
            f"{name} line {first}: expected fields with {delimiter!r} between them, got "
            f"something else ({error}); mend the row"
        ) from error


def _tabs(name: str, lines: Iterator[str], delimiter: str, first: int) -> Iterator[Record]:
    """Read .tsv, where a line is a row and a quote a character.

    Excel and pandas put a field in quotes all the same, for one within it: such quotes go.
    """
    for number, line in enumerate(lines, first):
        fields = line.split(delimiter) if line else []
        yield Record([_unquoted(field) for field in fields], number, number, line)


def _unquoted(field: str) -> str:
    quoted = QUOTED.fullmatch(field)
    return quoted[1].replace('""', '"') if quoted else field
