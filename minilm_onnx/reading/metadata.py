"""Metadata: the fields of a row or of front matter beside the text, and what their values mean.

A value is its text, wherever it comes from: 2020 of JSON and "2020" of .csv are the same one. A
text that reads as a number is that number, too, and one that reads as a date or a time is that
moment.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

# Values of one field, nested ones included, and characters of one: metadata says what a text is.
# Vectors and texts of their own are left out.
MOST_VALUES, MOST_CHARACTERS = 100, 1000
# Between the names of a field and of one within it.
WITHIN = "."
# The field with the time at which a file was changed, unless its metadata has one.
MODIFIED = "modified"
NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
# ISO 8601: a date, perhaps with a time, perhaps with a zone.
MOMENT = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[T ]((?:[01][0-9]|2[0-3]):[0-9]{2})(?::([0-9]{2})(?:[.]([0-9]{1,9}))?)?"
    r"(Z|[+-][0-9]{2}:?[0-9]{2})?)?"
)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
DAY = 86_400_000_000


@dataclass(frozen=True, slots=True)
class Moment:
    """A day, or a moment of one, in microseconds since 1970 in UTC.

    Attributes:
        first: its first.
        after: the one after its last.
    """

    first: int
    after: int


class _UnkeptError(Exception):
    """A value that is no metadata, and why."""


def kept(fields: Mapping[Any, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Give the fields that are metadata, as JSON has them, and what was left out of them, and why.

    Args:
        fields: by their names: texts, numbers, bools, dates, and lists and mappings of those.
    """
    found: dict[str, Any] = {}
    left_out = []
    for name, value in fields.items():
        try:
            if isinstance(name, str):
                _refuse_text(name)
            cleaned = _cleaned(value, [MOST_VALUES], 0)
            if cleaned is not None:
                found[_name(name)] = cleaned
        except _UnkeptError as error:
            left_out.append(f"field {ascii(name)[:100]} ({error})")
    return found, tuple(left_out)


def values_of(metadata: Mapping[str, Any]) -> dict[str, list[str]]:
    """Give the values of all fields as texts; a field within another is named with a dot between.

    Args:
        metadata: as `kept` gives it.
    """
    found: dict[str, list[str]] = {}
    for name, value in _flat("", metadata):
        values = found.setdefault(name, [])
        if value not in values:
            values.append(value)
    return found


def as_number(text: str) -> float | None:
    """Give the number that a text reads as, if it does."""
    if NUMBER.fullmatch(text) is None:
        return None
    number = float(text)
    return number if math.isfinite(number) else None


def as_moment(text: str) -> Moment | None:
    """Give the day or the moment that a text reads as, if it does; without a zone it is UTC."""
    parts = MOMENT.fullmatch(text)
    if parts is None:
        return None
    day, clock, seconds, fraction, zone = parts.groups()
    micros = (fraction or "").ljust(6, "0")[:6]
    offset = "+00:00" if zone in (None, "Z") else f"{zone[:3]}:{zone[-2:]}"
    try:
        when = datetime.fromisoformat(
            f"{day}T{clock or '00:00'}:{seconds or '00'}.{micros}{offset}"
        )
    except ValueError:  # the 31st of February
        return None
    first = (when - EPOCH) // MICROSECOND
    return Moment(first, first + (1 if clock else DAY))


def readings(text: str) -> tuple[float | None, int | None]:
    """Give what a value reads as beside its text: a number, and a moment, of a day its first."""
    moment = as_moment(text)
    return as_number(text), None if moment is None else moment.first


def time_of(seconds: float) -> str | None:
    """Give a file's time as metadata has it, in whole seconds; None of one that is in no year."""
    try:
        when = EPOCH + timedelta(seconds=math.floor(seconds))
    except OverflowError:
        return None
    return when.strftime("%Y-%m-%dT%H:%M:%SZ") if when.year >= 1000 else None


def _flat(before: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _flat(f"{before}{WITHIN}{name}" if before else name, inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _flat(before, inner)
    elif value is not None:
        yield before, value if isinstance(value, str) else json.dumps(value)


def _cleaned(value: Any, room: list[int], depth: int) -> Any:
    """Give a value as JSON has it; `room` is how many more there may be."""
    room[0] -= 1
    if room[0] < 0 or depth > MOST_VALUES:
        raise _UnkeptError(f"more than {MOST_VALUES} values")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _refuse_text(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, int):
        if value.bit_length() > MOST_CHARACTERS:
            raise _UnkeptError(f"a number of more than {MOST_CHARACTERS} bits")
        return value
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, list):
        return [_cleaned(inner, room, depth + 1) for inner in value]
    if isinstance(value, Mapping):
        return {
            _refuse_text(_name(name)): _cleaned(inner, room, depth + 1)
            for name, inner in value.items()
        }
    raise _UnkeptError(f"a {type(value).__name__}")


def _name(name: Any) -> str:
    """Give the name of a field, which YAML may have as a number or a date."""
    if isinstance(name, str):
        return name
    if isinstance(name, bool | int | float):
        return json.dumps(name)
    return str(name)


def _refuse_text(text: str) -> str:
    if len(text) > MOST_CHARACTERS:
        raise _UnkeptError(f"more than {MOST_CHARACTERS} characters")
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise _UnkeptError("no valid text")
    return text
