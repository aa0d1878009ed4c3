"""docs/commands.md, from the parsers: python -m tests.support.commands writes it."""

import argparse
import sys
import textwrap
from pathlib import Path

from minilm_onnx.cli import build_parser

DOCUMENT = Path(__file__).parents[2] / "docs" / "commands.md"
HEAD = """# Commands and options

`python -m tests.support.commands` wrote this page from the program's own `--help`. Every command
exits with 0; with 2 for wrong arguments, texts or files, and with 1 for a failure on the way, a
wrong model folder, or nothing found, and then says so on one line of stderr. `minilm-onnx
--version` prints the version, `minilm-onnx COMMAND --help` what stands here, and `minilm-onnx`
alone the list of commands, with exit code 2.

## The files that commands read

Every command reads a file in the same way, by what its name ends with, in capitals or not:

| name ends in | a row is | its text is |
| --- | --- | --- |
| `.jsonl`, `.ndjson` | a line that is not blank | the field `--field` of the object, or `text` |
| `.csv` | a row below the first | the column `--field`, or `text`, or the only one |
| `.tsv` | a line below the first | the column `--field`, or `text`, or the only one |
| `.parquet`, `.arrow` | a row | the column `--field`, or `text`, or the only one of texts |
| anything else; `-` for stdin | a line | the line |
| the same, with `--field` | a line that is not blank | that field of the object |

The same rule finds the text everywhere: the field or column that `--field` names, else `text`, else
the only column of a table. Summaries say which one was read unasked, and where plain lines seem to
be JSON or a table, as from a pipe, whose name has no suffix, or to end in CR alone.

`.gz` behind all but `.parquet` and `.arrow` is unpacked. Text is UTF-8, with a byte order mark or
without, with line ends LF or CR LF. Fields of `.csv` are separated by the comma, the semicolon,
the tab or the `|` by which the first row that is not blank has the field; a first line such as
`sep=;` chooses one of these. A field in quotes may hold line ends, and a row 64 MiB. In `.tsv` a
quote is a character like any other, unless quotes stand around a whole field.

A blank line of plain text is an empty text to `embed`, so that vectors and lines have the same
numbers; commands that compare texts leave it out. Null in `.parquet` and `.arrow` is a row without
a text: it gets no vector in these files, `embed` refuses it for others, and commands that compare
or search texts leave it out.

The model reads 256 tokens of a text. Every command counts on stderr the texts that it did not read
whole, and those that are mostly unknown to it; `--json` of `dedupe`, `cluster` and `search FILE`
has `cut` for each text. `dedupe` drops no text that differs from its original only in what was not
read.

`index` and `search` split Markdown (`.md`, `.markdown`) at its headings, and `index` takes plain
text as one document, unless `--lines` says otherwise. `index` finds files of all kinds above in
folders, and the text suffixes that [search.md](search.md) lists. `embed --engine ray` takes only
`.parquet` and `.jsonl`, not packed.
"""


def commands() -> dict[str, argparse.ArgumentParser]:
    """Every subcommand's parser, by name."""
    for action in build_parser()._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    raise AssertionError


def shared() -> set[str]:
    """Options that several commands have because they load a model."""
    found = [{action.dest for action in parser._actions} for parser in commands().values()]
    return {name for name in found[0] if sum(name in one for one in found) > 8} - {"help"}


def label(action: argparse.Action) -> str:
    """An option or argument as it is typed."""
    name = "`, `".join(action.option_strings)
    value = action.metavar or (f"{{{','.join(action.choices)}}}" if action.choices else "")
    if not action.option_strings and not value:
        value = action.dest
    return " ".join(word for word in (name, str(value)) if word)


def row(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    """A line of a table."""
    words = parser._get_formatter()._expand_help(action)
    return f"| `{label(action)}` | {words} |"


def render() -> str:
    """The whole page."""
    parts = [HEAD]
    every = commands()
    for name, parser in every.items():
        rows = [
            row(parser, action)
            for action in parser._actions
            if action.dest not in {"help", *shared()}
        ]
        described = " ".join((parser.description or "").split())
        examples = textwrap.dedent((parser.epilog or "").removeprefix("examples:\n"))
        parts += [
            f"## minilm-onnx {name}\n\n{textwrap.fill(described, 100)}\n",
            "\n".join(["| | |", "| --- | --- |", *rows]) + "\n",
            f"```sh\n{examples.strip()}\n```\n",
        ]
    parser = every["embed"]
    rows = [row(parser, action) for action in parser._actions if action.dest in shared()]
    parts.append("## The model and the CPU\n\nEvery command that loads a model has these.\n")
    parts.append("\n".join(["| | |", "| --- | --- |", *rows]) + "\n")
    (group,) = [one for one in parser._action_groups if one.title == "the model and the CPU"]
    parts.append(textwrap.fill(" ".join((group.description or "").split()), 100) + "\n")
    return "\n".join(parts)


if __name__ == "__main__":
    DOCUMENT.write_text(render(), "utf-8")
    sys.exit(0)
