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
--version` prints the version, `minilm-onnx COMMAND --help` what stands here.
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
    parts.append("## The model and the CPU\n\nEvery command but `completion` has these.\n")
    parts.append("\n".join(["| | |", "| --- | --- |", *rows]) + "\n")
    return "\n".join(parts)


if __name__ == "__main__":
    DOCUMENT.write_text(render(), "utf-8")
    sys.exit(0)
