"""JSON lines, https://jsonlines.org: a field of the object in a line."""

import json

from minilm_onnx.errors import InputError, describe, shorten


def field_of(line: str, field: str, at: str) -> str:
    """Give a field of a line of JSON.

    Args:
        line: the line.
        field: its name.
        at: the file and the line, for errors.

    Raises:
        InputError: the line is no object, or the field is missing or no text.
    """
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{at}: expected a JSON object, got something else ({error}); mend the line, or have "
            "the lines read as plain text: - or a name such as .txt, without --field"
        ) from None
    if not isinstance(fields, dict) or field not in fields:
        got = (
            f"the fields {shorten(', '.join(fields)) or 'of {}'}"
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
            f"U+{ord(value[error.start]):04X} at character {error.start}; mend the file"
        ) from None
    return value
