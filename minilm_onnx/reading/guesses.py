"""What lines of plain text seem to be, where nothing in the file's name says so."""

import re

from minilm_onnx.reading.separated import DELIMITERS

# Lines that end in CR alone, as those of old Macs, which are one line here as for other programs.
CR = "lines that end in CR"
# An object, or an array of them, that may go on in further lines.
OBJECT = re.compile(r'(\[\s*)?\{\s*"[^"]*"\s*:')
# A column as most tables name theirs; sentences have spaces behind their commas.
NAME = re.compile(r'"?[^\W\d][\w.-]{0,30}"?')


def seems_to_be(line: str) -> str:
    """Say what lines seem to be by the first that is not blank: "JSON", "a table", CR, or ""."""
    bare = line.strip()
    if "\r" in bare:
        return CR
    if bare in ("[", "{", "[{") or OBJECT.match(bare):
        return "JSON"
    for delimiter in DELIMITERS:
        fields = bare.split(delimiter)
        if len(fields) > 1 and all(map(NAME.fullmatch, fields)):
            return "a table"
    return ""
