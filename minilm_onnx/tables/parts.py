"""Files of rows, cut into parts of about equal work, and how a part is read.

Parquet is cut between rows, JSON lines between lines.
"""

import codecs
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from minilm_onnx.errors import InputError, describe, shorten
from minilm_onnx.reading.arrow import first_line
from minilm_onnx.reading.columnar import rows_at_a_time
from minilm_onnx.reading.columns import without_dictionaries
from minilm_onnx.reading.jsonlines import json_of
from minilm_onnx.tables.filesystems import LINES, filesystem, kind_of

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow.fs import FileInfo, FileSystem

# A part: a minute of one core, for texts of fifty tokens.
ROWS = 10_000
BYTES = 4 * 2**20


@dataclass(frozen=True)
class Part:
    """Rows of an input file.

    Attributes:
        path: of the file.
        first: its first row; of JSON lines a byte, and the first line that begins there or later.
        last: the end, likewise.
        rows: how many there are; -1 where nobody has counted yet.
    """

    path: str
    first: int
    last: int
    rows: int


def cut(source: str, inputs: "Sequence[FileInfo]") -> "tuple[list[Part], pa.Schema | None]":
    """Cut files into parts, in order; and give the columns that Parquet says it has.

    Raises:
        InputError: a file cannot be read, or has other columns than the first.
    """
    files, _ = filesystem(source)
    if kind_of(inputs[0].path) == LINES:
        return [part for one in inputs for part in _byte_ranges(one)], None
    parts: list[Part] = []
    schema: pa.Schema | None = None
    for one in inputs:
        with _readable(one.path), files.open_input_file(one.path) as file:
            reader = _parquet(file)
            rows, found = reader.metadata.num_rows, without_dictionaries(reader.schema_arrow)
        if schema is None:
            schema = found
        if _columns(found) != _columns(schema) or len(set(found.names)) < len(found.names):
            raise InputError(
                f"{one.path}: expected the columns of {inputs[0].path}, each once, got "
                f"{', '.join(f'{f.name} ({f.type})' for f in found)}; use the same columns in all"
            )
        for first in range(0, rows, ROWS):
            last = min(first + ROWS, rows)
            parts.append(Part(one.path, first, last, last - first))
    return parts or [Part(inputs[0].path, 0, 0, 0)], schema


def read_rows(files: "FileSystem", part: Part, schema: "pa.Schema") -> "pa.Table":
    """Read a part of a Parquet file.

    Raises:
        InputError: it cannot be read.
    """
    import pyarrow as pa

    with _readable(part.path), files.open_input_file(part.path) as file:
        reader = _parquet(file)
        metadata = reader.metadata
        groups: list[int] = []
        skip = start = 0
        for group in range(metadata.num_row_groups):
            end = start + metadata.row_group(group).num_rows
            if end > part.first and start < part.last:
                if not groups:
                    skip = part.first - start
                groups.append(group)
            start = end
        left, kept = part.last - part.first, []
        # By the batch: a group may hold a million rows, of which these are some.
        for batch in reader.iter_batches(
            batch_size=rows_at_a_time(metadata), row_groups=groups, columns=schema.names
        ):
            some = batch.slice(skip, left)
            skip -= min(skip, batch.num_rows)
            left -= some.num_rows
            if some.num_rows:
                kept.append(pa.Table.from_batches([some]).select(schema.names).cast(schema))
            if not left:
                break
        return pa.concat_tables(kept) if kept else schema.empty_table()


def read_lines(files: "FileSystem", part: Part) -> tuple[list[str], list[dict[str, Any]]]:
    """Read a part of JSON lines: the lines, and the objects in them.

    Raises:
        InputError: it cannot be read, or a line is no object.
    """
    with _readable(part.path), files.open_input_file(part.path) as file:
        data = _lines(file, part)
        if not part.first:
            data = data.removeprefix(codecs.BOM_UTF8)
        found = [line.strip() for line in data.decode("utf-8").split("\n")]
        lines = [line for line in found if line]
        rows = []
        for line in lines:
            at = f"{part.path}, the line {shorten(line)}"  # its number is not known in a part
            row = json_of(line, at, remedy="fix the line")
            if not isinstance(row, dict):
                raise InputError(f"{at}: expected a JSON object, got {describe(row)}; fix the line")
            rows.append(row)
        return lines, rows


def _columns(schema: "pa.Schema") -> set[tuple[str, str]]:
    return {(field.name, str(field.type)) for field in schema}


def _byte_ranges(info: "FileInfo") -> Iterator[Part]:
    """Cut lines where BYTES are together; a line is in the range that it begins in."""
    for first in range(0, info.size, BYTES):
        yield Part(info.path, first, min(first + BYTES, info.size), -1)


def _parquet(file: Any) -> Any:
    import pyarrow.parquet as pq

    return pq.ParquetFile(file)


@contextmanager
def _readable(path: str) -> Iterator[None]:
    """Say whose fault it is where a file cannot be read."""
    import pyarrow as pa

    try:
        yield
    except InputError:
        raise
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise InputError(
            f"{path}: expected rows in it, got: {first_line(error)}; check the file"
        ) from error


def _lines(file: Any, part: Part) -> bytes:
    """Give the lines that begin within a range of bytes."""
    start = part.first
    if start:
        file.seek(start - 1)
        start += len(_rest_of_line(file)) - 1
    if start >= part.last:
        return b""
    file.seek(start)
    found: bytes = file.read(part.last - start)
    if not found.endswith(b"\n"):
        found += _rest_of_line(file)
    return found


def _rest_of_line(file: Any) -> bytes:
    """Read up to the end of a line; pyarrow's files cannot."""
    found = b""
    while part := file.read(2**14):
        line, end, _ = part.partition(b"\n")
        found += line + end
        if end:
            break
    return found
