"""The columns of tables: which one holds the texts; of Arrow and Parquet, without dictionaries."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

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
