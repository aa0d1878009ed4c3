"""Filters for the bridges: metadata as a list of values by name, which both servers can search.

A value is sent as its text, and as the number and the moment that it reads as, since a server's own
types would refuse a field that is a number in one passage and a word in the next.
"""

from collections.abc import Mapping
from typing import Any

from minilm_onnx.reading.metadata import readings, values_of


def fields_of(metadata: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Give the values of metadata, each with `name`, `text`, and if it has them `number`, `moment`.

    Args:
        metadata: as a passage of an index has it.

    Returns:
        `moment` is in microseconds since 1970 in UTC; of a day, its first.
    """
    found = []
    for name, values in values_of(metadata).items():
        for text in values:
            number, moment = readings(text)
            one: dict[str, Any] = {"name": name, "text": text}
            if number is not None:
                one["number"] = number
            if moment is not None:
                one["moment"] = moment
            found.append(one)
    return found
