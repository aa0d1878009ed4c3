"""JSON lines, https://jsonlines.org: the object in a line, and a field of it."""

import json
from typing import Any

from minilm_onnx.errors import InputError, describe, shorten

# What to do about a line that is no JSON.
TO_EMBED_LINES = (
    "fix the line. To embed the lines as plain text, leave out --field and rename the file to .txt"
)


def json_of(line: str, at: str, *, remedy: str = TO_EMBED_LINES) -> Any:
    """Give the value in a line of JSON; it should be an object.

    Args:
        line: the line.
        at: the file and the line, for errors.
        remedy: what to do about a line that is no JSON.

    Raises:
        InputError: the line is no JSON.
    """
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{at}: expected a JSON object, got something else ({error}); {remedy}"
        ) from None


def text_and_fields(
    line: str, field: str, at: str, *, remedy: str = TO_EMBED_LINES
) -> tuple[str, dict[str, Any]]:
    """Give a field of a line of JSON that is a text, and all fields.

    Args:
        line: the line.
        field: its name.
        at: the file and the line, for errors.
        remedy: what to do about a line that is no JSON.

    Raises:
        InputError: the line is no object, or the field is missing or no text.
    """
    fields = json_of(line, at, remedy=remedy)
    if not isinstance(fields, dict) or field not in fields:
        got = (
            f"the fields {shorten(', '.join(map(repr, fields))) or 'of {}'}"
            if isinstance(fields, dict)
            else describe(fields)
        )
        raise InputError(
            f"{at}: expected a JSON object with the field {field!r}, got {got}; choose one with "
            "--field"
        )
    value = fields[field]
    if not isinstance(value, str):
        raise InputError(
            f"{at}: expected a string in {field!r}, got {describe(value)}; convert it first"
        )
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"{at}: expected valid Unicode in {field!r}, got the lone surrogate "
            f"U+{ord(value[error.start]):04X} at character {error.start}; fix the file"
        ) from None
    return value, fields
