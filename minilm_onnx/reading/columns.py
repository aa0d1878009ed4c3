"""The columns of a table: which hold texts, and what they are without dictionaries."""

from typing import TYPE_CHECKING

from minilm_onnx.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa


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
