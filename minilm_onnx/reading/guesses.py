"""What lines of plain text seem to be, where nothing in the file's name says so."""

import re

from minilm_onnx.reading.separated import DELIMITERS

# An object, or an array of them, that may go on in further lines.
OBJECT = re.compile(r'(\[\s*)?\{\s*"[^"]*"\s*:')
# A column as most tables name theirs; sentences have spaces behind their commas.
NAME = re.compile(r'"?[^\W\d][\w.-]{0,30}"?')


def seems_to_be(line: str) -> str:
    """Say what a file of lines seems to be by its first one: "JSON", "a table", or ""."""
    bare = line.strip()
    if bare in ("[", "{", "[{") or OBJECT.match(bare):
        return "JSON"
    for delimiter in DELIMITERS:
        fields = bare.split(delimiter)
        if len(fields) > 1 and all(map(NAME.fullmatch, fields)):
            return "a table"
    return ""
