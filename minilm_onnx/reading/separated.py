"""Tables of separated values: .csv as RFC 4180 and Excel write it, .tsv as IANA registers it.

https://www.rfc-editor.org/rfc/rfc4180
https://www.iana.org/assignments/media-types/text/tab-separated-values
"""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

from minilm_onnx.errors import InputError
from minilm_onnx.reading.columns import FIELD, listed, refuse_double
from minilm_onnx.reading.lines import TextFile

# Between the fields of .csv, the likeliest first; Excel writes ";" where "," is in decimals.
DELIMITERS = (",", ";", "\t", "|")
# What Excel writes and reads as the first line, to name the delimiter.
NAMED = re.compile(r'"?sep=(.)"?', re.IGNORECASE)
QUOTED = re.compile(r'"([^"]*(?:""[^"]*)*)"')
# A line within a field in quotes, and its last one.
WITHIN = re.compile(r'[^"]*(?:""[^"]*)*')
LAST = re.compile(r'[^"]*(?:""[^"]*)*"')
# Characters of a row; a quote that is not closed would otherwise take the rest of the file.
RECORD = 64 * 2**20
# The module's own limit, 128 KiB a field, is less than a document. RECORD is the one that holds.
csv.field_size_limit(2**31 - 1)


class _TornError(InputError):
    """Lines that are no rows with this delimiter, though they can be read."""


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
        field: the column of texts.
        column: its place in each row.
        names: of all columns.
    """

    def __init__(self, source: TextFile, field: str | None, *, tabs: bool) -> None:
        """Read the first row.

        Args:
            source: the file.
            field: a column's name; None for "text", or else the only column.
            tabs: whether it is .tsv.

        Raises:
            InputError: it is no table, or has no such column.
        """
        self._name, self._tabs = source.name, tabs
        lines = source.lines()
        number, first = _first(lines)
        before = []
        delimiter = "\t" if tabs else ""
        if not tabs and (named := NAMED.fullmatch(first)):
            delimiter = named[1]
            if delimiter not in DELIMITERS:
                raise InputError(
                    f"{self._name} line {number}: expected sep= with one of "
                    f"{', '.join(map(repr, DELIMITERS))}, got {delimiter!r}; convert the file first"
                )
            before.append(first)
            blank, first = _first(lines)
            number += blank
        self.field = FIELD if field is None else field
        opening = [first]
        if not delimiter:
            delimiter = _delimiter(self._name, opening, lines, self.field)
        read = _tabs if tabs else _commas
        self._records = read(self._name, chain(opening, lines), delimiter, number)
        header = next((record for record in self._records if record.fields), None)
        self.head: str | None = None
        self._width = self.column = 0
        self.names: list[str] = []
        if header is None:  # an empty file has no rows
            return
        self.head = "\n".join([*before, header.raw])
        self._width, self.names = len(header.fields), header.fields
        if field is None and FIELD not in header.fields and self._width == 1:
            (self.field,) = header.fields
        refuse_double(self.field, header.fields, self._name)
        if self.field not in header.fields:
            raise InputError(
                f"{self._name} line {header.first_line}: expected a column {self.field!r}, got the "
                f"columns {listed(header.fields)} (with {delimiter!r} between them); choose one "
                "with --field. If these are no names: the first row must name the columns, or "
                "rename the file to .txt for one text per line"
            )
        self.column = header.fields.index(self.field)

    def __iter__(self) -> Iterator[Record]:
        """Give the rows below the first; lines without anything are none.

        Raises:
            InputError: a row has another number of fields, or its quotes are wrong.
        """
        what = "tabs or line ends needs .csv, and quotes"
        if not self._tabs:
            what = "separators or line ends needs quotes"
        for record in self._records:
            if record.fields and len(record.fields) != self._width:
                raise InputError(
                    f"{self._name} line {record.first_line}: expected {self._width} fields as in "
                    f"the first row, got {len(record.fields)}; fix the row (a field with {what})"
                )
            if record.fields:
                yield record


def _first(lines: Iterator[str]) -> tuple[int, str]:
    """Give the first line that is not blank, and its number; 1 and "" if there is none."""
    return next(((number, line) for number, line in enumerate(lines, 1) if line), (1, ""))


def _delimiter(name: str, opening: list[str], lines: Iterator[str], field: str) -> str:
    """Find the delimiter: the one with which the first row has the field.

    Args:
        name: of the file.
        opening: its first line that is not blank; those that are read here are put behind it.
        lines: the others.
        field: the name of a column.
    """

    def again() -> Iterator[str]:
        yield from opening
        for line in lines:
            opening.append(line)
            yield line

    rows: dict[str, list[str]] = {}
    for one in DELIMITERS:
        try:
            rows[one] = next(_commas(name, again(), one, 1)).fields
        except _TornError:  # with this one between them it has no first row
            rows[one] = []
    having = (one for one, row in rows.items() if field in row)
    return next(having, max(DELIMITERS, key=lambda one: len(rows[one])))


def _commas(name: str, lines: Iterator[str], delimiter: str, first: int) -> Iterator[Record]:
    """Read .csv, whose fields may be in quotes, and then hold line ends."""
    held: list[str] = []
    opened: int | None = None  # the line with the quote that is not closed yet

    def ended() -> Iterator[str]:
        nonlocal opened
        size = 0
        for line in lines:
            if not held:
                size, opened = 0, None
            held.append(line)
            number = first + len(held) - 1
            if line.count('"') % 2:
                opened = number if opened is None else None
            size += len(line)
            if size > RECORD:
                raise _TornError(
                    f"{name} line {opened or first}: expected a row of at most {RECORD} "
                    "characters, got more; "
                    + ("close the quote that opens there" if opened else "split it")
                )
            yield f"{line}\n"

    reader = csv.reader(ended(), delimiter=delimiter, strict=True)
    try:
        for fields in reader:
            last = first + len(held) - 1
            yield Record(fields, first, last, "\n".join(held))
            first = last + 1
            held.clear()
    except csv.Error as error:
        remedy = "fix the row"
        if any("\r" in line for line in held):
            remedy += ", or the line ends, if they are CR alone: tr '\\r' '\\n'"
        raise _TornError(
            f"{name} line {opened or first}: expected fields with {delimiter!r} between them, got "
            f"something else ({error}); {remedy}"
        ) from error


def _tabs(name: str, lines: Iterator[str], delimiter: str, first: int) -> Iterator[Record]:
    """Read .tsv, where a line is a row and a quote a character.

    Excel and pandas put a field in quotes all the same, for a quote within it: such quotes go.
    They do so for a line end, too, which tears the row: that is refused. Of several columns the
    pieces have too few fields; of one they are found by their quotes.
    """
    opened = 0  # the line with a quote that the lines since then have not closed
    for number, line in enumerate(lines, first):
        fields = line.split(delimiter) if line else []
        if len(fields) > 1:
            opened = 0
        elif opened and LAST.fullmatch(line):
            raise InputError(
                f"{name} line {opened}: expected a field without line ends, got one in "
                f"quotes up to line {number}; save it as .csv"
            )
        elif not opened or not WITHIN.fullmatch(line):
            opened = number if _opens(line) else 0
        yield Record([_unquoted(field) for field in fields], number, number, line)


def _opens(field: str) -> bool:
    """Whether a field opens a quote that it does not close."""
    return field.startswith('"') and bool(WITHIN.fullmatch(field, 1))


def _unquoted(field: str) -> str:
    quoted = QUOTED.fullmatch(field)
    return quoted[1].replace('""', '"') if quoted else field
