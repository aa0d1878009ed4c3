"""Arrow and Parquet: texts of a column, and vectors beside the columns they belong to."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from minilm_onnx.arrays import BoolArray, CodeArray, FloatArray, Matrix
from minilm_onnx.encoder import SentenceEncoder
from minilm_onnx.errors import InputError
from minilm_onnx.text.reports import TextReport
from minilm_onnx.vectors.quantization import int8_codes

if TYPE_CHECKING:
    import pyarrow as pa

Precision: TypeAlias = Literal["float32", "int8"]
# Texts sorted by length and run at a time, and the characters they may hold together: enough
# for full batches, a few MiB.
CHUNK = 2048
CHUNK_CHARACTERS = 2**20
# Of the schema's metadata.
FINGERPRINT, PRECISION = b"minilm_onnx.fingerprint", b"minilm_onnx.precision"


class Table:
    """A file of rows, of which one column holds the texts.

    Attributes:
        rows: how many there are.
        schema: its columns.
        column: the one of texts.
    """

    def __init__(self, name: str, column: str | None) -> None:
        """Open the file.

        Raises:
            InputError: it is no such file, or has no such column of texts.
        """
        needed()
        import pyarrow as pa
        import pyarrow.parquet as pq

        self.name = name
        self._arrow = name.lower().endswith(".arrow")
        try:
            if self._arrow:
                self._source = pa.memory_map(name)
                self.schema, batches = _open_arrow(self._source)
                self.rows = sum(batch.num_rows for batch in batches)
            else:
                self._source = pa.OSFile(name)
                self._reader = pq.ParquetFile(self._source)
                self.rows = self._reader.metadata.num_rows
                self.schema = self._reader.schema_arrow
        except (OSError, ValueError, pa.ArrowException) as error:  # also a name of no UTF-8
            kind = "Arrow IPC" if self._arrow else "Parquet"
            raise InputError(
                f"{name}: expected a readable {kind} file, got: {first_line(error)}; check the file"
            ) from error
        self.column = only_text_column(self.schema, name) if column is None else column
        check_field(self.column, self.schema, name)

    def __enter__(self) -> "Table":
        """Give the table itself."""
        return self

    def __exit__(self, *_: object) -> None:
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
                f"{self.name}: expected to read on, got: {first_line(error)}; check the file"
            ) from error

    def texts(self) -> Iterator[str]:
        """Give the texts.

        Raises:
            InputError: one is null.
        """
        number = 0
        for _, texts in self.batches():
            for text in texts:
                number += 1
                if text is None:
                    raise InputError(
                        f"{self.name} row {number}: expected a text, got null; drop such rows, or "
                        "write .parquet or .arrow, where their vector is null too"
                    )
                yield text


class Vectors:
    """A column of vectors that is put beside others.

    Attributes:
        schema: of the rows with it; its metadata have the encoder's fingerprint.
    """

    def __init__(
        self,
        schema: "pa.Schema",
        column: str,
        dimension: int,
        precision: Precision,
        fingerprint: str,
    ) -> None:
        """Decide on the column.

        Args:
            schema: of the rows that will come.
            column: its name.
            dimension: components of a vector, which is a FixedSizeList.
            precision: float32, or int8; see `int8_codes`.
            fingerprint: of the encoder.

        Raises:
            InputError: there is such a column already.
        """
        needed()
        import pyarrow as pa

        if column in schema.names:
            raise InputError(
                f"--column {column}: expected a new name, got that of a column there; "
                "choose another"
            )
        self._values = pa.float32() if precision == "float32" else pa.int8()
        self._dimension, self._precision = dimension, precision
        self._field = pa.field(column, pa.list_(self._values, dimension))
        said = {FINGERPRINT: fingerprint.encode(), PRECISION: precision.encode()}
        self.schema = schema.append(self._field).with_metadata({**(schema.metadata or {}), **said})

    def codes(self, vectors: Matrix) -> tuple[FloatArray | CodeArray, BoolArray]:
        """Give vectors in the column's precision, and which of them are missing."""
        missing: BoolArray = np.isnan(vectors[:, 0])
        filled = np.where(missing[:, None], np.float32(0), vectors)
        return (filled if self._precision == "float32" else int8_codes(filled)), missing

    def beside(self, table: "pa.Table", vectors: Matrix) -> "pa.Table":
        """Give rows with their vectors, (N, H) float32, of which NaN stands for null."""
        import pyarrow as pa

        coded, missing = self.codes(vectors)
        rows = pa.FixedSizeListArray.from_arrays(
            pa.array(coded.ravel(), type=self._values), self._dimension, mask=pa.array(missing)
        )
        whole = table.append_column(self._field, rows)
        return whole.replace_schema_metadata(self.schema.metadata)


def embed_column(
    encoder: SentenceEncoder, texts: list[str | None]
) -> tuple[Matrix, list[TextReport]]:
    """Embed texts that may be null, and say what the model saw of the others.

    Args:
        encoder: makes the vectors.
        texts: N texts or None.

    Returns:
        (N, H) float32, NaN where there is no text; and a report a text.
    """
    there = [place for place, text in enumerate(texts) if text is not None]
    vectors: Matrix = np.full((len(texts), encoder.dimension), np.nan, dtype=np.float32)
    vectors[there], reports = encoder.embed_texts([text for text in texts if text is not None])
    return vectors, reports


def only_text_column(schema: "pa.Schema", name: str) -> str:
    """Give the column of texts of what has this name, where there is one.

    Raises:
        InputError: there are more, or none.
    """
    texts = text_columns(schema)
    if len(texts) != 1:
        raise InputError(
            f"{name}: expected --field with one of its columns of texts, "
            f"{', '.join(texts) or 'of which there is none'}"
        )
    return texts[0]


def check_field(field: str, schema: "pa.Schema", name: str) -> None:
    """Raise InputError if that is no column of texts of what has this name."""
    texts = text_columns(schema)
    if schema.names.count(field) > 1:
        raise InputError(
            f"--field {field}: expected one column of that name in {name}, got "
            f"{schema.names.count(field)}; rename them"
        )
    if field not in texts:
        raise InputError(
            f"--field {field}: expected one of {name}'s columns of texts, "
            f"{', '.join(texts) or 'of which there is none'}"
        )


def parquet_options(schema: "pa.Schema") -> dict[str, Any]:
    """Give how Parquet is written: the last column's vectors get no dictionary.

    They do not repeat, so that one would come on top. What has one is told by the paths of
    Parquet's own columns, which a file without rows knows.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    empty = pa.BufferOutputStream()
    pq.write_table(schema.empty_table(), empty)
    columns = pq.ParquetFile(pa.BufferReader(empty.getvalue())).schema
    paths = [columns.column(place).path for place in range(len(columns))]
    return {"compression": "zstd", "use_dictionary": paths[:-1]}


def text_columns(schema: "pa.Schema") -> list[str]:
    """Give the names of the columns that hold texts."""
    return [one.name for one in schema if _is_text(one.type)]


def without_dictionaries(schema: "pa.Schema") -> "pa.Schema":
    """Give the columns as they are without dictionaries, of which files may have several."""
    import pyarrow as pa

    fields = [
        one.with_type(one.type.value_type) if pa.types.is_dictionary(one.type) else one
        for one in schema
    ]
    return pa.schema(fields, schema.metadata)


def needed() -> None:
    """Raise InputError where pyarrow is not there."""
    try:
        import pyarrow.parquet  # noqa: F401  # to say at once that it is missing
    except ImportError as error:
        raise InputError(
            f"Arrow and Parquet: expected pyarrow, got {error}; pip install 'minilm-onnx[arrow]'"
        ) from error


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


def _is_text(kind: "pa.DataType") -> bool:
    import pyarrow as pa

    inner = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(
        pa.types.is_string(inner) or pa.types.is_large_string(inner) or inner == pa.string_view()
    )


def first_line(error: Exception) -> str:
    """Give the first line of what pyarrow says."""
    return str(error).strip().splitlines()[0][:200]
