"""A filter as SQL over the metadata of an index; names and values are parameters of it."""

from collections.abc import Sequence

from minilm_onnx.index.filters import (
    AllOf,
    AnyOf,
    Compare,
    Filter,
    IsNull,
    Like,
    Not,
    OneOf,
    Test,
    Value,
    bound,
    parts_of,
)
from minilm_onnx.reading.metadata import MODIFIED, Moment

Parameters = dict[str, str | float | int]
# Characters that mean something to GLOB, which unlike SQLite's LIKE tells capitals.
SPECIAL = frozenset("*?[")


def passages_that_match(wanted: Filter | None) -> tuple[str, Parameters]:
    """Give SQL that is true of the passages that match, and its parameters.

    Args:
        wanted: the filter; None for none, whose SQL is "".
    """
    parameters: Parameters = {}
    return ("" if wanted is None else _sql(wanted, parameters)), parameters


def _sql(wanted: Filter, parameters: Parameters) -> str:
    match wanted:
        case Not(inner):
            return f"NOT ({_sql(inner, parameters)})"
        case AllOf(parts):
            return _joined("AND", [_sql(part, parameters) for part in parts])
        case AnyOf(parts):
            return _joined("OR", [_sql(part, parameters) for part in parts])
        case IsNull(field):
            return f"NOT {_with_term(field, 'true', parameters)}"
        case _:
            return _with_term(wanted.field, _of_term(wanted, parameters), parameters)


def _with_term(field: str, condition: str, parameters: Parameters) -> str:
    """Give SQL for passages of which a value of a field meets a condition.

    Each of these questions is asked once a search, not once a passage.
    """
    name = _bind(field, parameters)
    having = "SELECT document FROM postings WHERE term IN (SELECT id FROM terms WHERE name = {})"
    found = f"passages.document IN ({having.format(f'{name} AND ({condition})')})"
    if field != MODIFIED:
        return found
    # The file's own time, where the document says nothing else.
    files = (
        "SELECT id, modified AS text, NULL AS number, moment FROM sources WHERE modified NOT NULL"
    )
    return (
        f"({found} OR passages.document NOT IN ({having.format(name)}) AND passages.source IN "
        f"(SELECT id FROM ({files}) WHERE {condition}))"
    )


def _of_term(test: Test, parameters: Parameters) -> str:
    """Give SQL for what a test asks of a row of `terms`, or of its like."""
    match test:
        case OneOf(_, values):
            plain = {
                column: [one for one in values if isinstance(one, kind)]
                for column, kind in (("text", str), ("number", float))
            }
            either = [
                f"{column} IN ({', '.join(_bind(value, parameters) for value in some)})"
                for column, some in plain.items()
                if some
            ]
            either += [
                f"moment >= {_bind(value.first, parameters)} "
                f"AND moment < {_bind(value.after, parameters)}"
                for value in values
                if isinstance(value, Moment)
            ]
            return _joined("OR", [f"({one})" for one in either])
        case Compare(_, operator, value):
            operator, limit = bound(operator, value)
            return f"{column_of(value)} {operator} {_bind(limit, parameters)}"
        case Like(_, pattern):
            return f"text GLOB {_bind(_glob(parts_of(pattern)), parameters)}"


def column_of(value: Value) -> str:
    """Name the reading of a term that a value is compared with."""
    if isinstance(value, Moment):
        return "moment"
    return "text" if isinstance(value, str) else "number"


def _joined(word: str, parts: Sequence[str]) -> str:
    """Join conditions in pairs, since SQLite counts a row of a thousand as one thousand deep."""
    if len(parts) == 1:
        return parts[0]
    middle = len(parts) // 2
    return f"({_joined(word, parts[:middle])} {word} {_joined(word, parts[middle:])})"


def _bind(value: str | float | int, parameters: Parameters) -> str:
    name = f"w{len(parameters)}"
    parameters[name] = value
    return f":{name}"


def _glob(parts: Sequence[Sequence[str | None]]) -> str:
    """Give a pattern as GLOB has it."""
    return "*".join(
        "".join("?" if one is None else f"[{one}]" if one in SPECIAL else one for one in part)
        for part in parts
    )
