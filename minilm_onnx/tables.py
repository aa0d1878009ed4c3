"""Arrow and Parquet: texts of a column, and vectors beside the columns they belong to."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from minilm_onnx.arrays import Matrix
from minilm_onnx.encoder import SentenceEncoder
from minilm_onnx.errors import InputError
from minilm_onnx.tokens import TextReport
from minilm_onnx.vectors import int8_codes

if TYPE_CHECKING:
    import pyarrow as pa

Precision: TypeAlias = Literal["float32", "int8"]
# Rows read at a time.
ROWS = 2048
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
                self._reader = pa.ipc.open_file(self._source)
                counts = range(self._reader.num_record_batches)
                self.rows = sum(self._reader.get_batch(place).num_rows for place in counts)
                self.schema = self._reader.schema
            else:
                self._source = pa.OSFile(name)
                self._reader = pq.ParquetFile(self._source)
                self.rows = self._reader.metadata.num_rows
                self.schema = self._reader.schema_arrow
        except (OSError, pa.ArrowException) as error:
            kind = "Arrow IPC" if self._arrow else "Parquet"
            raise InputError(
                f"{name}: expected a readable {kind} file, got: {first_line(error)}; check the file"
            ) from error
        texts = text_columns(self.schema)
        if column is None:
            if len(texts) != 1:
                raise InputError(
                    f"{name}: expected --field with one of its columns of texts, "
                    f"{', '.join(texts) or 'of which there is none'}"
                )
            column = texts[0]
        check_field(column, self.schema, name)
        self.column = column

    def __enter__(self) -> "Table":
        """Give the table itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self._source.close()

    def batches(self) -> "Iterator[pa.RecordBatch]":
        """Give the rows, some at a time.

        Raises:
            InputError: they cannot be read on.
        """
        import pyarrow as pa

        try:
            if not self._arrow:
                yield from self._reader.iter_batches(batch_size=ROWS)
                return
            for place in range(self._reader.num_record_batches):
                batch = self._reader.get_batch(place)
                for first in range(0, batch.num_rows, ROWS):
                    yield batch.slice(first, ROWS)
        except (OSError, pa.ArrowException) as error:
            raise InputError(
                f"{self.name}: expected to read on, got: {first_line(error)}; check the file"
            ) from error

    def texts(self) -> Iterator[str]:
        """Give the texts.

        Raises:
            InputError: one is null.
        """
        number = 0
        for batch in self.batches():
            for text in batch.column(self.column).to_pylist():
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

    def beside(self, table: "pa.Table", vectors: Matrix) -> "pa.Table":
        """Give rows with their vectors, (N, H) float32, of which NaN stands for null."""
        import pyarrow as pa

        missing = np.isnan(vectors[:, 0])
        filled = np.where(missing[:, None], np.float32(0), vectors)
        coded = filled if self._precision == "float32" else int8_codes(filled)
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
    tokens = encoder.tokenize_texts([text for text in texts if text is not None])
    vectors[there] = encoder.embed_tokens(tokens)
    return vectors, tokens.reports


def check_field(field: str, schema: "pa.Schema", name: str) -> None:
    """Raise InputError if that is no column of texts of what has this name."""
    texts = text_columns(schema)
    if field not in texts:
        raise InputError(
            f"--field {field}: expected one of {name}'s columns of texts, "
            f"{', '.join(texts) or 'of which there is none'}"
        )


def parquet_options(schema: "pa.Schema") -> dict[str, Any]:
    """Give how Parquet is written: vectors do not compress, and a dictionary would come on top."""
    return {"compression": "zstd", "use_dictionary": text_columns(schema)}


def text_columns(schema: "pa.Schema") -> list[str]:
    """Give the names of the columns that hold texts."""
    return [one.name for one in schema if _is_text(one.type)]


def needed() -> None:
    """Raise InputError where pyarrow is not there."""
    try:
        import pyarrow.parquet  # noqa: F401  # to say at once that it is missing
    except ImportError as error:
        raise InputError(
            f"Arrow and Parquet: expected pyarrow, got {error}; pip install 'minilm-onnx[arrow]'"
        ) from error


def _is_text(kind: "pa.DataType") -> bool:
    import pyarrow as pa

    inner = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(
        pa.types.is_string(inner) or pa.types.is_large_string(inner) or inner == pa.string_view()
    )


def first_line(error: Exception) -> str:
    """Give the first line of what pyarrow says."""
    return str(error).strip().splitlines()[0][:200]
