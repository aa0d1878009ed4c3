"""docs/commands.md, from the parsers: python -m tests.support.commands writes it."""

import argparse
import sys
import textwrap
from pathlib import Path

from minilm_onnx.cli import build_parser

DOCUMENT = Path(__file__).parents[2] / "docs" / "commands.md"
HEAD = """# Commands and options

`python -m tests.support.commands` generated this page from the program's own `--help`.

| exit code | meaning |
| ---: | --- |
| 0 | success |
| 1 | a failure on the way, a wrong model folder, or nothing found |
| 2 | wrong arguments, texts or files; also `minilm-onnx` alone, which lists the commands |

An error is one line on stderr. `minilm-onnx --version` prints the version, and
`minilm-onnx COMMAND --help` what is on this page.

## The files that commands read

Every command reads files in the same way. The end of the file's name decides, in capitals or not:

| name ends in | a row is | its text is |
| --- | --- | --- |
| `.jsonl`, `.ndjson` | a line that is not blank | the object's field `--field`, or else `text` |
| `.csv` | a row below the first | the column `--field`, or else `text`, or else the only column |
| `.tsv` | a line below the first | the column `--field`, or else `text`, or else the only column |
| `.parquet`, `.arrow` | a row | the column `--field`, or `text`, or the only column of texts |
| anything else; `-` for stdin | a line | the line |
| the same, with `--field` | a line that is not blank | the object's field `--field` |

If a column was chosen without `--field`, the summary says which. It also says so if plain lines
look like JSON or like a table, for example from a pipe, which has no suffix, and if lines seem to
end in CR alone.

- **Compression.** `.gz` at the end is unpacked, except after `.parquet` and `.arrow`.
- **Encoding.** Text is UTF-8, with or without a byte order mark; lines end in LF or CR LF.
- **`.csv`.** The separator is the comma, the semicolon, the tab or the `|`: the one with which the
  first row that is not blank has the field. A first line such as `sep=;` chooses one. A quoted
  field can contain line ends. A row can have 64 MiB.
- **`.tsv`.** A quote is an ordinary character, unless a whole field is in quotes.
- **Blank lines.** In plain text, a blank line is an empty text for `embed`, so that vectors and
  lines have the same numbers. Commands that compare texts ignore it.
- **Null.** A null in `.parquet` or `.arrow` is a row without a text. It gets no vector in these
  formats, and `embed` refuses it for others. Commands that compare or search texts ignore it.
- **Long texts.** The model reads 256 tokens of a text. Every command reports on stderr how many
  texts it did not read completely, and how many are mostly unknown to the model. With `--json`,
  `dedupe`, `cluster` and `search FILE` have `cut` for each text. `dedupe` never drops a text that
  differs from its original only in what was not read.
- **Documents.** `index` and `search` split Markdown (`.md`, `.markdown`) at its headings. `index`
  takes plain text as one document, unless `--lines` is given. In folders, `index` finds files of
  all kinds above, and those with the text suffixes that [search.md](search.md) lists.
- **Ray.** `embed --engine ray` takes only `.parquet` and `.jsonl`, not packed.
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
