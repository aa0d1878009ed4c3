"""Front matter: what programs keep at the top of Markdown, in YAML between --- or TOML between +++.

A rule across the page is --- too. What stands between two rules is front matter where every line
could be one of a YAML mapping, as programs write them and people do; whether it is valid is not
asked, since templates, for one, are not. What is valid is read as metadata.
"""

import re
import tomllib
from collections.abc import Sequence
from functools import cache
from typing import Any

from minilm_onnx.errors import importing, shorten
from minilm_onnx.reading.metadata import kept

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
# Of front matter that is read; YAML takes a second for so much.
MOST_CHARACTERS = 50_000
# What plain words stand for in YAML 1.2's core schema, https://yaml.org/spec/1.2.2/#103-core-schema;
# all others are texts, as `no`, 012 and 2026-01-31.
CORE = {
    "null": r"~|null|Null|NULL|",
    "bool": r"true|True|TRUE|false|False|FALSE",
    "int": r"[-+]?(0|[1-9][0-9]{0,30})",
    "float": r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]{1,4})?",
}


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


def front_metadata(text: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Give what the front matter of a Markdown text says, and what was left out of it, and why.

    Args:
        text: the whole, with U+000A between its lines.

    Raises:
        InputError: PyYAML is needed, and is not installed.
    """
    if not text.removeprefix("\ufeff").startswith(("---", "+++")):
        return {}, ()
    lines = text.split("\n")
    count = front_matter(lines)
    if not count:
        return {}, ()
    inside = "\n".join(lines[1 : count - 1])
    is_yaml = lines[0].removeprefix("\ufeff").startswith("---")
    kind = "YAML" if is_yaml else "TOML"
    if len(inside) > MOST_CHARACTERS:
        return {}, (f"front matter (more than {MOST_CHARACTERS} characters)",)
    try:
        found = _read_yaml(inside) if is_yaml else tomllib.loads(inside)
    except (ValueError, RecursionError) as error:
        return {}, (f"front matter (no valid {kind}: {shorten(str(error))})",)
    if not isinstance(found, dict):
        return {}, (f"front matter (no mapping in {kind})",)
    return kept(found)


def _read_yaml(text: str) -> Any:
    """Read YAML with the plain types of version 1.2.

    Raises:
        ValueError: it is none.
    """
    with importing("front matter", "PyYAML", "search"):
        import yaml

    try:
        return yaml.load(text, _core_loader())
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        said = getattr(error, "problem", None) or str(error)
        raise ValueError(f"{said}, line {mark.line + 2}" if mark else said) from error
    except (TypeError, AttributeError, LookupError) as error:  # a list as the name of a field
        raise ValueError(str(error)) from error


@cache
def _core_loader() -> Any:
    """Make the loader of plain types, once for all files."""
    import yaml

    class Loader(yaml.SafeLoader):  # type: ignore[misc]  # which has no types
        yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  PyYAML's way

    for kind, words in CORE.items():
        pattern = re.compile(f"^(?:{words})$")
        Loader.add_implicit_resolver(f"tag:yaml.org,2002:{kind}", pattern, None)
    return Loader


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
