"""The command `minilm-onnx`: one file a subcommand."""

import argparse
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from minilm_onnx import __version__
from minilm_onnx.cli import (
    bench,
    cluster,
    completion,
    dedupe,
    embed,
    export,
    get,
    index,
    info,
    mcp,
    models,
    search,
    serve,
    similarity,
    verify,
)
from minilm_onnx.cli.options import Parser, printable
from minilm_onnx.cli.oserrors import STDOUT, explained, marked_stdout
from minilm_onnx.errors import InputError, MiniLMError, shorten

COMMANDS = (
    embed,
    similarity,
    index,
    search,
    dedupe,
    cluster,
    serve,
    mcp,
    models,
    get,
    export,
    info,
    verify,
    bench,
    completion,
)


def main(arguments: list[str] | None = None) -> int:
    """Run one subcommand and give its exit code: 0, 1 for a failure, 2 for wrong input."""
    if sys.stderr is None:  # closed: what is meant for it would be printed to stdout
        sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115  it ends with the process
    with _tidy_when_terminated():
        return report_errors(_run, sys.argv[1:] if arguments is None else arguments)


class Terminated(KeyboardInterrupt):
    """SIGTERM came: end as after Ctrl-C, so that nothing half-written is left."""


@contextmanager
def _tidy_when_terminated() -> Iterator[None]:
    """Raise Terminated at the first SIGTERM, and take no notice of more."""

    def terminate(*_: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise Terminated

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL if before is None else before)


def build_parser() -> argparse.ArgumentParser:
    """Give the parser of all subcommands."""
    parser = Parser(
        prog="minilm-onnx",
        description="Sentence embeddings of all-MiniLM-L6-v2 on a CPU: no torch, no download.",
    )
    parser.add_argument("--version", action="version", version=f"minilm-onnx {__version__}")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add_parser(subparsers)
    return parser


def _run(arguments: list[str]) -> int:
    parser = build_parser()
    if not arguments:
        parser.print_help()
        return 2
    options, more = parser.parse_known_args(arguments)
    if more:
        # argparse ends a list of words at the first option; those behind it belong to it, too.
        words = getattr(options, getattr(options, "rest", ""), None)
        if words is None or any(word.startswith("-") for word in more):
            parser.error(f"expected no {shorten(' '.join(more))!r}")
        words += more
    run: Callable[[argparse.Namespace], int] = options.run
    if sys.stdout is None and getattr(options, "out", None) in (None, "-", Path("-")):
        raise MiniLMError("stdout: expected an open stream, got a closed one; use --out or > FILE")
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        return run(options)


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    """Print a warning as one line, without the place in the code."""
    print(f"warning: {message}", file=sys.stderr)


def _drop_stdout() -> None:
    """Keep Python from flushing what is left into a failed stdout when it exits."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)


def _print_error(error: MiniLMError) -> int:
    print(f"error: {printable(str(error))}", file=sys.stderr)
    return 2 if isinstance(error, InputError) else 1


def report_errors(run: Callable[[list[str]], int], arguments: list[str]) -> int:
    """Run a command; print what went wrong as one line on stderr."""
    with marked_stdout():
        return _reported(run, arguments)


def _reported(run: Callable[[list[str]], int], arguments: list[str]) -> int:
    try:
        try:
            return run(arguments)
        finally:  # --help ends here, too
            if sys.stdout is not None:
                sys.stdout.flush()
    except BrokenPipeError:
        _drop_stdout()
        return 0  # whoever read the output has seen enough
    except OSError as error:
        if error.filename == STDOUT:
            _drop_stdout()
        return _print_error(explained(error))
    except MiniLMError as error:
        return _print_error(error)
    except MemoryError:
        print(
            "error: memory: expected enough to continue, got none; free some, or lower "
            "--token-budget or --threads",
            file=sys.stderr,
        )
        return 1
    except KeyboardInterrupt as error:
        print("error: interrupted; nothing was left half-written", file=sys.stderr)
        return 143 if isinstance(error, Terminated) else 130
