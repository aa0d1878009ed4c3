"""A column of vectors, put beside the columns it belongs to."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from minilm_onnx.arrays import BoolArray, CodeArray, FloatArray, Matrix
from minilm_onnx.encoder import SentenceEncoder
from minilm_onnx.errors import InputError
from minilm_onnx.reading.arrow import needed
from minilm_onnx.text.reports import TextReport
from minilm_onnx.vectors.quantization import int8_codes

if TYPE_CHECKING:
    import pyarrow as pa

Precision: TypeAlias = Literal["float32", "int8"]
# Of the schema's metadata.
FINGERPRINT, PRECISION = b"minilm_onnx.fingerprint", b"minilm_onnx.precision"
RUNTIME = b"minilm_onnx.runtime"


class Vectors:
    """A column of vectors that is put beside others.

    Attributes:
        schema: of the rows with it; its metadata have the encoder's fingerprint and runtime.
    """

    def __init__(
        self,
        schema: "pa.Schema",
        column: str,
        dimension: int,
        precision: Precision,
        fingerprint: str,
        runtime: str,
    ) -> None:
        """Decide on the column.

        Args:
            schema: of the rows that will come.
            column: its name.
            dimension: components of a vector, which is a FixedSizeList.
            precision: float32, or int8; see `int8_codes`.
            fingerprint: of the encoder.
            runtime: of the encoder, on which bits depend.

        Raises:
            InputError: there is such a column already.
        """
        needed()
        import pyarrow as pa

        if column in schema.names:
            raise InputError(
                f"--column {column}: expected a new name, got that of an existing column; "
                "choose another"
            )
        self._values = pa.float32() if precision == "float32" else pa.int8()
        self._dimension, self._precision = dimension, precision
        self._field = pa.field(column, pa.list_(self._values, dimension))
        said = {
            FINGERPRINT: fingerprint.encode(),
            RUNTIME: runtime.encode(),
            PRECISION: precision.encode(),
        }
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
    encoder: SentenceEncoder,
    texts: list[str | None],
    *,
    done: Callable[[int], object] = lambda count: None,
) -> tuple[Matrix, list[TextReport]]:
    """Embed texts that may be null, and say what the model saw of the others.

    Args:
        encoder: makes the vectors.
        texts: N texts or None.
        done: called with the number of texts done since.

    Returns:
        (N, H) float32, NaN where there is no text; and a report a text.
    """
    there = [place for place, text in enumerate(texts) if text is not None]
    vectors: Matrix = np.full((len(texts), encoder.dimension), np.nan, dtype=np.float32)
    given = [text for text in texts if text is not None]
    vectors[there], reports = encoder.embed_texts(given, done=done)
    return vectors, reports


def parquet_options(schema: "pa.Schema", vectors: str | None) -> dict[str, Any]:
    """Give how Parquet is written: all columns have dictionaries, but for that of vectors.

    Vectors do not repeat, so that a dictionary would only add to them.

    Args:
        schema: the columns.
        vectors: the one of vectors; None where there is none.
    """
    paths = _parquet_paths(schema)
    if vectors is not None:
        import pyarrow as pa

        without = _parquet_paths(pa.schema([schema.field(vectors)]))
        paths = [path for path in paths if path not in without]
    return {"compression": "zstd", "use_dictionary": paths}


def _parquet_paths(schema: "pa.Schema") -> list[str]:
    """Give the paths of Parquet's own columns, which a file without rows knows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    empty = pa.BufferOutputStream()
    pq.write_table(schema.empty_table(), empty)
    columns = pq.ParquetFile(pa.BufferReader(empty.getvalue())).schema
    return [columns.column(place).path for place in range(len(columns))]
