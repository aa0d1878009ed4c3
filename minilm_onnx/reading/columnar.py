"""A file of rows, Arrow or Parquet, of which one column holds texts."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from minilm_onnx.closing import Closing
from minilm_onnx.errors import InputError
from minilm_onnx.reading.arrow import first_line, needed
from minilm_onnx.reading.columns import choose_column
from minilm_onnx.reading.kinds import suffix_of

if TYPE_CHECKING:
    import pyarrow as pa

# Texts sorted by length and run at a time, and the characters they may hold together: enough
# for full batches, a few MiB.
CHUNK = 2048
CHUNK_CHARACTERS = 2**20


class ColumnarFile(Closing):
    """A file of rows, of which one column holds the texts.

    Attributes:
        rows: how many there are.
        schema: its columns.
        column: the one of texts.
    """

    def __init__(self, name: str, column: str | None, content: bytes | None = None) -> None:
        """Open the file.

        Args:
            name: of the file.
            column: the one of texts; None for one that `choose_column` chooses.
            content: what is in it, where it was read before.

        Raises:
            InputError: it is no such file, or has no such column of texts.
        """
        needed()
        import pyarrow as pa
        import pyarrow.parquet as pq

        self.name = name
        self._arrow = suffix_of(name) == ".arrow"
        try:
            if content is not None:
                self._source = pa.BufferReader(content)
            else:
                self._source = pa.memory_map(name) if self._arrow else pa.OSFile(name)
            if self._arrow:
                self.schema, batches = _open_arrow(self._source)
                self.rows = sum(batch.num_rows for batch in batches)
            else:
                self._reader = pq.ParquetFile(self._source)
                self.rows = self._reader.metadata.num_rows
                self.schema = self._reader.schema_arrow
        except (OSError, ValueError, pa.ArrowException) as error:  # also a name of no UTF-8
            kind = "Arrow IPC" if self._arrow else "Parquet"
            raise InputError(
                f"{name}: expected a readable {kind} file, got: {first_line(error)}; check the file"
            ) from error
        self.column = choose_column(self.schema, column, name)

    def close(self) -> None:
        """Close the file."""
        self._source.close()

    def batches(self) -> "Iterator[tuple[pa.RecordBatch, list[str | None]]]":
        """Give the rows with their texts, some at a time.

        Raises:
            InputError: they cannot be read on.
        """
        import pyarrow as pa

        try:
            if self._arrow:
                _, found = _open_arrow(self._source)
            else:
                found = self._reader.iter_batches(batch_size=rows_at_a_time(self._reader.metadata))
            for batch in found:
                texts = batch.column(self.column).to_pylist()
                for first, last in _cuts(texts):
                    yield batch.slice(first, last - first), texts[first:last]
        except (OSError, ValueError, pa.ArrowException) as error:  # also texts of no UTF-8
            raise InputError(
                f"{self.name}: expected to read the rest, got: {first_line(error)}; check the file"
            ) from error

    def texts(self) -> Iterator[str | None]:
        """Give the texts, None for null.

        Raises:
            InputError: they cannot be read on.
        """
        for _, texts in self.batches():
            yield from texts


def rows_at_a_time(metadata: "pa.FileMetaData") -> int:
    """Give how many rows of a Parquet file hold about as many bytes as a chunk may characters."""
    groups = range(metadata.num_row_groups)
    size: int = sum(metadata.row_group(group).total_byte_size for group in groups)
    rows: int = metadata.num_rows
    return max(1, min(CHUNK, CHUNK_CHARACTERS * rows // max(1, size)))


def _open_arrow(source: Any) -> "tuple[pa.Schema, Iterator[pa.RecordBatch]]":
    """Give what an Arrow file holds, of either kind: files that end with an index, or streams."""
    import pyarrow as pa

    source.seek(0)
    if source.read(6) == b"ARROW1":
        reader = pa.ipc.open_file(source)
        return reader.schema, map(reader.get_batch, range(reader.num_record_batches))
    source.seek(0)
    stream = pa.ipc.open_stream(source)
    return stream.schema, iter(stream)


def _cuts(texts: list[str | None]) -> Iterator[tuple[int, int]]:
    """Give the ranges of rows that are embedded together, as `pieces.chunks` would."""
    first = held = 0
    for place, text in enumerate(texts, 1):
        held += len(text or "")
        if place - first == CHUNK or held >= CHUNK_CHARACTERS:
            yield first, place
            first, held = place, 0
    if first < len(texts):
        yield first, len(texts)
