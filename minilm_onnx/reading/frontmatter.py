"""Front matter: what programs keep at the top of Markdown, in YAML between --- or TOML between +++.

A rule across the page is --- too. What stands between two rules is front matter where every line
could be one of a YAML mapping, as programs write them and people do; whether it is valid is not
asked, since templates, for one, are not.
"""

import re
from collections.abc import Sequence

# What begins without space in a mapping: a key, plain or in quotes, and then a space or nothing;
# or, as people write and programs do not read it, a word without a space.
YAML_KEY = re.compile(
    r"""(?: "(?:\\.|[^"\\])*" | '(?:[^']|'')*'
      | (?![-?:](?:\s|$)) [^\s#"'\[\]{},&*!|>%@`] (?:(?!:\s|\s\#).)* ) \s*:(?:\s+|$)
    | [^\W\d][\w-]*:(?!//)""",
    re.VERBOSE,
)
# Also there: space, comments, entries of a list, what closes a list or a mapping.
YAML_OTHER = re.compile(r"\s|$|\#|-(\s|$)|[\]}]")
TOML_KEY = re.compile(r"""\s*[\w"'][^=]*=|\s*\[.*\]""")


def front_matter(lines: Sequence[str]) -> int:
    """Count the lines of the front matter that a Markdown text begins with, its marks included.

    Args:
        lines: of the text, without their ends.

    Returns:
        0 where there is none.
    """
    mark = lines[0].removeprefix("\ufeff").rstrip() if lines else ""
    ends = {"---": ("---", "..."), "+++": ("+++",)}.get(mark, ())
    end = next((number for number, line in enumerate(lines) if number and line.rstrip() in ends), 0)
    inside = lines[1:end]
    found = _is_yaml(inside) if mark == "---" else any(map(TOML_KEY.match, inside))
    return end + 1 if found else 0


def _is_yaml(lines: Sequence[str]) -> bool:
    """Whether lines could be those of a mapping."""
    keys = 0
    value = ""
    for line in lines:
        if _is_open(value):
            value += line
        elif key := YAML_KEY.match(line):
            keys += 1
            value = line[key.end() :]
        elif not YAML_OTHER.match(line):
            return False
        elif line.strip() and not line.startswith("#") and not keys:
            return False  # a list, or what is indented below nothing
    return keys > 0


def _is_open(value: str) -> bool:
    """Whether a value in brackets or quotes goes on in the next line."""
    mark = value[:1]
    if mark in ("[", "{"):
        return value.count(mark) > value.count({"[": "]", "{": "}"}[mark])
    return mark in ('"', "'") and value.count(mark) % 2 == 1
