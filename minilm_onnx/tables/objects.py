"""Rows as lines of JSON: objects to a table, a table to objects, vectors into lines."""

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from minilm_onnx.arrays import Matrix
from minilm_onnx.errors import InputError
from minilm_onnx.reading.arrow import first_line
from minilm_onnx.tables.column import Vectors

if TYPE_CHECKING:
    import pyarrow as pa


def table_of(
    rows: Sequence[dict[str, Any]], path: str, schema: "pa.Schema | None" = None
) -> "pa.Table":
    """Give objects as a table; its columns are what they are in the objects, no dates are guessed.

    Raises:
        InputError: values of one name are of kinds that do not go together.
    """
    import pyarrow as pa

    names = schema.names if schema is not None else list(dict.fromkeys(k for r in rows for k in r))
    columns = []
    for name in names:
        kind = None if schema is None else schema.field(name).type
        try:
            columns.append(pa.array([row.get(name) for row in rows], kind))
        except (pa.ArrowException, OverflowError) as error:
            raise InputError(
                f"{path}: expected values of one type as {name}, got: {first_line(error)}; "
                "convert them to one type"
            ) from error
    return pa.table(columns, names=names) if schema is None else pa.table(columns, schema=schema)


def lines_of(path: str, table: "pa.Table") -> Iterator[str]:
    """Give the rows as JSON, which has no NaN and no infinities: these become null.

    Raises:
        InputError: there is one inside of a list or a struct.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    for place, one in enumerate(table.schema):
        if pa.types.is_floating(one.type):
            column = table.column(place)
            finite = pc.if_else(pc.is_finite(column), column, pa.scalar(None, one.type))
            table = table.set_column(place, one, finite)
    for row in table.to_pylist():
        try:
            yield json.dumps(row, default=str, allow_nan=False)
        except ValueError as error:
            raise InputError(
                f"{path}: expected what JSON can hold, got: {error}; use .parquet"
            ) from error


def with_vectors(
    lines: Sequence[str], column: str, added: Vectors, vectors: Matrix
) -> Iterator[str]:
    """Put vectors into objects whose text stays as it is otherwise."""
    coded, missing = added.codes(vectors)
    # The shortest decimals that read back as the same float32.
    for line, row, gone in zip(lines, coded.astype(str).tolist(), missing, strict=True):
        others = line[:-1].rstrip()
        comma = "" if others == "{" else ", "
        vector = "null" if gone else f"[{', '.join(row)}]"
        yield f"{others}{comma}{json.dumps(column)}: {vector}}}"


def holds_bytes(kind: "pa.DataType") -> bool:
    """Whether values of a type are bytes, or hold some, which JSON cannot."""
    import pyarrow as pa

    if pa.types.is_nested(kind):
        return any(holds_bytes(kind.field(place).type) for place in range(kind.num_fields))
    return "binary" in str(kind)
