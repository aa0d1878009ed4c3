"""The columns of tables: which one holds the texts; of Arrow and Parquet, without dictionaries."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from minilm_onnx.errors import InputError, shorten

if TYPE_CHECKING:
    import pyarrow as pa

# The field or column with the text, where no other is asked for.
FIELD = "text"


def choose_column(schema: "pa.Schema", field: str | None, name: str) -> str:
    """Give the column that holds the texts: the field, else "text", else the only one of texts.

    Args:
        schema: the columns.
        field: the column that is asked for; None for none.
        name: of what has them, for errors.

    Raises:
        InputError: there is no such column of texts, or more than one.
    """
    texts = text_columns(schema)
    if field is None:
        field = FIELD
        if FIELD not in schema.names:
            if len(texts) != 1:
                raise InputError(
                    f"{name}: expected --field with one of its columns of texts, got none and no "
                    f"column {FIELD!r}; choose one of {listed(texts)}"
                )
            (field,) = texts
    check_field(field, schema, name)
    return field


def check_field(field: str, schema: "pa.Schema", name: str) -> None:
    """Raise InputError if that is no column of texts of what has this name."""
    refuse_double(field, schema.names, name)
    texts = text_columns(schema)
    if field not in texts:
        raise InputError(
            f"--field {field}: expected one of {name}'s columns of texts, {listed(texts)}"
        )


def refuse_double(field: str, names: Sequence[str], where: str) -> None:
    """Raise InputError if several columns have the name of a field."""
    if (count := names.count(field)) > 1:
        raise InputError(
            f"--field {field}: expected one column of that name in {where}, got {count}; rename "
            "them"
        )


def listed(names: Sequence[str]) -> str:
    """Give names of columns as a message shows them: a blank within can be seen."""
    return shorten(", ".join(map(repr, names))) or "of which there is none"


def text_columns(schema: "pa.Schema") -> list[str]:
    """Give the names of the columns that hold texts."""
    return [one.name for one in schema if _is_text(one.type)]


def described_by(schema: "pa.Schema", column: str) -> tuple[list[int], tuple[str, ...]]:
    """Find the columns that describe a text: not itself, nor bytes, vectors and the like.

    Args:
        schema: the columns.
        column: the one with the text.

    Returns:
        The places of those that do, and what is said of the others.
    """
    places, others = [], []
    for place, one in enumerate(schema):
        if one.name == column:
            continue
        if schema.names.count(one.name) == 1 and _describes(one.type):
            places.append(place)
        else:
            others.append(f"field {shorten(ascii(one.name))} ({shorten(str(one.type))})")
    return places, tuple(others)


def columns_as_rows(batch: "pa.RecordBatch", places: Sequence[int]) -> list[dict[str, Any]]:
    """Give some columns that `described_by` found, as a dict a row."""
    columns = [_values(batch.column(place)) for place in places]
    names = [batch.schema.names[place] for place in places]
    if not names:
        return [{} for _ in range(batch.num_rows)]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def without_dictionaries(schema: "pa.Schema") -> "pa.Schema":
    """Give the columns as they are without dictionaries, of which files may have several."""
    import pyarrow as pa

    fields = [
        one.with_type(one.type.value_type) if pa.types.is_dictionary(one.type) else one
        for one in schema
    ]
    return pa.schema(fields, schema.metadata)


def _is_text(kind: "pa.DataType") -> bool:
    import pyarrow as pa

    inner = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(
        pa.types.is_string(inner) or pa.types.is_large_string(inner) or inner == pa.string_view()
    )


def _describes(kind: "pa.DataType") -> bool:
    """Whether a column of a type says something of a text, as `kept` has it."""
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        return _describes(kind.value_type)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):  # of floats, it is a vector
        inner = kind.value_type
        return _is_text(inner) or pa.types.is_integer(inner) or pa.types.is_boolean(inner)
    return bool(
        _is_text(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_integer(kind)
        or pa.types.is_float32(kind)
        or pa.types.is_float64(kind)
        or _is_written(kind)
    )


def _is_written(kind: "pa.DataType") -> bool:
    """Whether values of a type are given as they are written."""
    import pyarrow as pa

    return bool(pa.types.is_temporal(kind) and not pa.types.is_duration(kind)) or (
        pa.types.is_decimal(kind)
    )


def _values(column: "pa.Array") -> list[Any]:
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_timestamp(column.type) and column.type.tz is not None:
        column = column.cast(pa.timestamp(column.type.unit, "UTC"))
    if pa.types.is_float32(column.type):  # 0.1, not the double that is next to it
        texts = column.cast(pa.string()).to_pylist()
        return [None if text is None else float(text) for text in texts]
    written = column.cast(pa.string()) if _is_written(column.type) else column
    found: list[Any] = written.to_pylist()
    return found
