"""A filter as SQL of PostgreSQL, over the values that `fields_of` gives."""

import re
from collections.abc import Sequence
from typing import Any, TypeAlias

from minilm_onnx.index.filters import (
    AllOf,
    AnyOf,
    Compare,
    Filter,
    IsNull,
    Like,
    Not,
    OneOf,
    Value,
    bound,
    parts_of,
)
from minilm_onnx.index.filtersql import column_of
from minilm_onnx.reading.metadata import Moment

# A value's reading of its field, how it is compared, and with what.
Condition: TypeAlias = tuple[str, str, str | float | int]
COLUMNS = {
    "name": "field->>'name'",
    # By code points, as everywhere.
    "text": """field->>'text' COLLATE "C\"""",
    "number": "(field->>'number')::float8",
    "moment": "(field->>'moment')::bigint",
}


def condition_of(sql: Any, wanted: Filter, parameters: dict[str, Any]) -> Any:
    """Give the SQL that is true of the passages that match; names and values are parameters.

    Args:
        sql: psycopg's module of that name.
        wanted: the filter.
        parameters: where names and values go.
    """
    match wanted:
        case Not(inner):
            return sql.SQL("NOT ({})").format(condition_of(sql, inner, parameters))
        case AllOf(parts) | AnyOf(parts):
            word = " AND " if isinstance(wanted, AllOf) else " OR "
            joined = sql.SQL(word).join(condition_of(sql, part, parameters) for part in parts)
            return sql.SQL("({})").format(joined)
        case IsNull(field):
            return sql.SQL("NOT {}").format(_with_value(sql, field, [], parameters))
        case OneOf(field, values):
            either = [_with_value(sql, field, _equal(one), parameters) for one in values]
            return sql.SQL("({})").format(sql.SQL(" OR ").join(either))
        case Compare(field, operator, value):
            asked, limit = bound(operator, value)
            return _with_value(sql, field, [(column_of(value), asked, limit)], parameters)
        case Like(field, pattern):
            return _with_value(sql, field, [("text", "LIKE", _pattern(pattern))], parameters)


def _with_value(
    sql: Any, field: str, conditions: Sequence[Condition], parameters: dict[str, Any]
) -> Any:
    """Give the SQL for passages of which a value of a field meets all conditions."""
    asked = []
    for column, operator, value in [("name", "=", field), *conditions]:
        place = f"w{len(parameters)}"
        parameters[place] = value
        asked.append(sql.SQL(f"{COLUMNS[column]} {operator} {{}}").format(sql.Placeholder(place)))
    found = "EXISTS (SELECT FROM jsonb_array_elements(fields) AS field WHERE {})"
    return sql.SQL(found).format(sql.SQL(" AND ").join(asked))


def _equal(value: Value) -> list[Condition]:
    if isinstance(value, Moment):
        return [("moment", ">=", value.first), ("moment", "<", value.after)]
    return [(column_of(value), "=", value)]


def _pattern(pattern: str) -> str:
    """Give a pattern as PostgreSQL's LIKE has it."""
    return "%".join(
        "".join("_" if one is None else re.sub(r"([%_\\])", r"\\\1", one) for one in part)
        for part in parts_of(pattern)
    )
