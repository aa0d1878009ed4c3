"""minilm-onnx completion SHELL: what lets a shell complete commands and options."""

import argparse

from minilm_onnx.cli.options import Subparsers, add_command
from minilm_onnx.errors import importing, installing

# Arguments that are completed as files are.
FILES = ("file", "paths", "words", "b", "db", "out", "heatmap", "model")
SHELLS = ("bash", "zsh", "tcsh")


def add_parser(subparsers: Subparsers) -> None:
    """Add the subcommand."""
    parser = add_command(
        subparsers,
        run,
        "completion",
        summary="a script that lets a shell complete commands and options",
        description="Print a script that lets a shell complete commands and options. It needs "
        f"shtab: {installing('completion')}.",
        examples=(
            'eval "$(minilm-onnx completion bash)"',
            "minilm-onnx completion zsh > ~/.zfunc/_minilm-onnx",
        ),
        model=False,
    )
    parser.add_argument("shell", choices=SHELLS, help="for which shell")


def run(options: argparse.Namespace) -> int:
    """Print the script."""
    with importing("completion", "shtab", "completion"):
        import shtab
    from minilm_onnx.cli import build_parser

    parser = build_parser()
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                for argument in command._actions:
                    if argument.dest in FILES:
                        argument.complete = shtab.FILE
    print(shtab.complete(parser, shell=options.shell))
    return 0
