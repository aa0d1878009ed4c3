"""Arrow and Parquet files as outputs: written whole or not at all."""

import argparse
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from minilm_onnx.arrays import Matrix
from minilm_onnx.cli.writing import whole_file
from minilm_onnx.encoder import SentenceEncoder
from minilm_onnx.errors import InputError
from minilm_onnx.progress import Update
from minilm_onnx.reading.arrow import first_line, needed
from minilm_onnx.reading.columnar import ColumnarFile
from minilm_onnx.reading.columns import without_dictionaries
from minilm_onnx.reading.kinds import suffix_of
from minilm_onnx.tables.column import Vectors, embed_column, parquet_options
from minilm_onnx.text.reports import Tally, TextReport

if TYPE_CHECKING:
    import pyarrow as pa

FORMATS = ("parquet", "arrow")
# Rows written together, or fewer once they hold so many bytes: small groups read slowly.
GROUP = 2**14
GROUP_BYTES = 2**25


def write_texts(
    options: argparse.Namespace,
    kind: str,
    encoder: SentenceEncoder,
    embedded: Iterator[tuple[list[str], Matrix, list[TextReport]]],
) -> Tally:
    """Write texts that came without a table, and their vectors, as one of two columns."""
    needed()
    import pyarrow as pa

    schema = pa.schema([pa.field("text", pa.string())])
    tally = Tally()
    with _open_vectors(options, kind, encoder, schema) as write:
        for texts, vectors, reports in embedded:
            write(pa.table({"text": pa.array(texts, pa.string())}), vectors)
            tally.add(reports)
    return tally


def write_rows(
    options: argparse.Namespace,
    kind: str,
    encoder: SentenceEncoder,
    table: ColumnarFile,
    done: Update,
) -> Tally:
    """Embed a column, and write all columns with the vectors; null has none."""
    import pyarrow as pa

    tally = Tally()
    with _open_vectors(options, kind, encoder, table.schema) as write:
        for batch, texts in table.batches():
            vectors, reports = embed_column(encoder, texts, done=done)
            write(pa.Table.from_batches([batch]), vectors)
            tally.add(reports)
            done(len(texts) - len(reports), 0)  # null has no vector
    return tally


def write_kept(out: Path, table: ColumnarFile, dropped: Collection[int]) -> None:
    """Write a table's rows but for some.

    Args:
        out: the file, of the table's own kind.
        table: the rows.
        dropped: which are left out, counted from 1.

    Raises:
        InputError: this kind of file cannot hold its columns.
    """
    import pyarrow as pa

    number = 0
    with _open_table(out, suffix_of(out.name).removeprefix("."), table.schema) as write:
        for batch, texts in table.batches():
            places = range(number + 1, number + 1 + len(texts))
            kept = pa.array([place not in dropped for place in places], pa.bool_())
            write(pa.Table.from_batches([batch.filter(kept)]))
            number += len(texts)


@contextmanager
def _open_vectors(
    options: argparse.Namespace, kind: str, encoder: SentenceEncoder, schema: "pa.Schema"
) -> "Iterator[Callable[[pa.Table, Matrix], None]]":
    """Open the table that the options name; give what writes rows and their vectors.

    Raises:
        InputError: this kind of file cannot hold these columns.
    """
    schema = _writable(schema, kind)
    added = Vectors(
        schema,
        options.column,
        encoder.dimension,
        options.precision,
        encoder.fingerprint,
        encoder.runtime,
    )
    with _open_table(options.out, kind, added.schema, options.column) as write:
        yield lambda rows, vectors: write(added.beside(rows.cast(schema), vectors))


@contextmanager
def _open_table(
    out: Path, kind: str, schema: "pa.Schema", vectors: str | None = None
) -> "Iterator[Callable[[pa.Table], None]]":
    """Open a table that takes its name only when the block ends well; give what writes rows.

    Args:
        out: the file.
        kind: one of FORMATS.
        schema: its columns.
        vectors: the one of vectors; None where there is none.

    Raises:
        InputError: this kind of file cannot hold these columns.
    """
    import pyarrow as pa

    schema = _writable(schema, kind)
    waiting: list[pa.Table] = []

    def flush() -> None:
        if waiting:
            writer.write_table(pa.concat_tables(waiting))
            waiting.clear()

    def write(rows: "pa.Table") -> None:
        waiting.append(rows.cast(schema))
        few = sum(part.num_rows for part in waiting) < GROUP
        if not few or sum(part.nbytes for part in waiting) >= GROUP_BYTES:
            flush()

    try:
        with whole_file(out) as file, _writer(file, kind, schema, vectors) as writer:
            yield write
            flush()
    except InputError:
        raise
    except (pa.ArrowException, ValueError) as error:
        raise InputError(
            f"--out {out}: expected columns that .{kind} can hold, got: {first_line(error)}; "
            "leave them out"
        ) from error


def _writable(schema: "pa.Schema", kind: str) -> "pa.Schema":
    """Give the columns as they are written: without dictionaries to IPC, which takes one each."""
    return without_dictionaries(schema) if kind == "arrow" else schema


def _writer(
    file: BinaryIO, kind: str, schema: "pa.Schema", vectors: str | None
) -> AbstractContextManager[Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if kind == "arrow":
        return pa.ipc.new_file(file, schema)  # type: ignore[no-any-return]  # it has no types
    return pq.ParquetWriter(  # type: ignore[no-any-return]  # likewise
        file, schema, **parquet_options(schema, vectors)
    )
