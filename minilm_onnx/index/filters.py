"""Filters: what the metadata of a passage has to be, as a tree, and as plain Python tells it.

`filterparsing` reads a tree from a text, `filtersql` asks SQLite for it, the bridges their servers.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from minilm_onnx.reading.metadata import Moment, as_moment, as_number

# A text is compared with the text of a value, a number with the number that it reads as, a moment
# with the moment.
Value: TypeAlias = str | float | Moment
Operator: TypeAlias = Literal["<", "<=", ">", ">="]
ANY = "%"
ONE = "_"
ESCAPE = "\\"


@dataclass(frozen=True, slots=True)
class OneOf:
    """A value of the field is one of these; of a day, within it."""

    field: str
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Compare:
    """A value of the field is below or above another; a day ends with its last moment."""

    field: str
    operator: Operator
    value: Value


@dataclass(frozen=True, slots=True)
class Like:
    r"""A value fits a pattern: % is any text, _ a character, \% and \_ these themselves."""

    field: str
    pattern: str


@dataclass(frozen=True, slots=True)
class IsNull:
    """The field has no value."""

    field: str


@dataclass(frozen=True, slots=True)
class Not:
    """Something does not hold."""

    inner: "Filter"


@dataclass(frozen=True, slots=True)
class AllOf:
    """All parts hold."""

    parts: "tuple[Filter, ...]"


@dataclass(frozen=True, slots=True)
class AnyOf:
    """One of the parts holds, or several."""

    parts: "tuple[Filter, ...]"


Test: TypeAlias = OneOf | Compare | Like
Filter: TypeAlias = Test | IsNull | Not | AllOf | AnyOf


def fields_in(wanted: Filter) -> set[str]:
    """Give the fields that a filter asks for."""
    match wanted:
        case Not(inner):
            return fields_in(inner)
        case AllOf(parts) | AnyOf(parts):
            return set().union(*map(fields_in, parts))
        case _:
            return {wanted.field}


def matches(wanted: Filter, values: Mapping[str, Sequence[str]]) -> bool:
    """Whether metadata is as a filter wants it.

    Args:
        wanted: the filter.
        values: of each field, as `values_of` gives them. A test holds if it does for one of them,
            so it never holds for a field without a value, and `Not` of it always does.
    """
    match wanted:
        case Not(inner):
            return not matches(inner, values)
        case AllOf(parts):
            return all(matches(part, values) for part in parts)
        case AnyOf(parts):
            return any(matches(part, values) for part in parts)
        case IsNull(field):
            return not values.get(field)
        case OneOf(field, expected):
            return any(_is(value, one) for value in values.get(field, ()) for one in expected)
        case Compare(field, operator, limit):
            return any(_holds(value, operator, limit) for value in values.get(field, ()))
        case Like(field, pattern):
            return any(_fits(value, parts_of(pattern)) for value in values.get(field, ()))


def bound(operator: Operator, value: Value) -> tuple[Operator, str | float | int]:
    """Give what a value is compared with: of a day, its first moment or the one after its last."""
    if not isinstance(value, Moment):
        return operator, value
    if operator in ("<", ">="):
        return operator, value.first
    return ("<" if operator == "<=" else ">="), value.after


def parts_of(pattern: str) -> list[list[str | None]]:
    """Divide the pattern of `Like` at %: characters between them, None for any one."""
    parts: list[list[str | None]] = [[]]
    characters = iter(pattern)
    for character in characters:
        if character == ESCAPE:
            parts[-1].append(next(characters, ESCAPE))
        elif character == ANY:
            parts.append([])
        else:
            parts[-1].append(None if character == ONE else character)
    return parts


def _reading(text: str, value: Value) -> str | float | int | None:
    """Give what a text is, as a value is compared with it."""
    if isinstance(value, str):
        return text
    if isinstance(value, Moment):
        moment = as_moment(text)
        return None if moment is None else moment.first
    return as_number(text)


def _is(text: str, value: Value) -> bool:
    if isinstance(value, Moment):
        return _holds(text, ">=", value) and _holds(text, "<=", value)
    return _reading(text, value) == value


def _holds(text: str, operator: Operator, value: Value) -> bool:
    found = _reading(text, value)
    if found is None:
        return False
    asked, limit = bound(operator, value)
    return {
        "<": lambda: found < limit,  # type: ignore[operator]  # both are texts, or numbers
        "<=": lambda: found <= limit,  # type: ignore[operator]
        ">": lambda: found > limit,  # type: ignore[operator]
        ">=": lambda: found >= limit,  # type: ignore[operator]
    }[asked]()


def _fits(text: str, parts: Sequence[Sequence[str | None]]) -> bool:
    """Whether a text fits a pattern; each part is taken where it comes first, so in little time."""
    first, *others = [
        re.compile("".join("." if one is None else re.escape(one) for one in part), re.DOTALL)
        for part in parts
    ]
    if not others:
        return first.fullmatch(text) is not None
    begin = first.match(text)
    if begin is None:
        return False
    place = begin.end()
    for part in others[:-1]:
        found = part.search(text, place)
        if found is None:
            return False
        place = found.end()
    last = len(text) - len(parts[-1])
    return last >= place and others[-1].fullmatch(text, last) is not None
