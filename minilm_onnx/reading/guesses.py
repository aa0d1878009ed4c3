"""What lines of plain text seem to be, where nothing in the file's name says so."""

import json
import re

from minilm_onnx.reading.separated import DELIMITERS

# A column as most tables name theirs; sentences have spaces behind their commas.
NAME = re.compile(r'"?[^\W\d][\w.-]{0,30}"?')


def seems_to_be(line: str) -> str:
    """Say what a file of lines seems to be by its first one: "JSON", "a table", or ""."""
    bare = line.strip()
    if bare in ("[", "{", "[{"):  # spread over lines
        return "JSON"
    if bare.startswith(("{", "[")):
        try:
            value = json.loads(bare)
        except (ValueError, RecursionError):
            return ""
        first = value[0] if isinstance(value, list) and value else value
        return "JSON" if isinstance(first, dict) and first else ""
    for delimiter in DELIMITERS:
        fields = bare.split(delimiter)
        if len(fields) > 1 and all(map(NAME.fullmatch, fields)):
            return "a table"
    return ""
