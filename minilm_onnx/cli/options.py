"""Options that several subcommands share."""

import argparse
import sys
import textwrap
from collections.abc import Sequence
from importlib.util import find_spec
from typing import TypeAlias

from minilm_onnx.arrays import Matrix
from minilm_onnx.batches import TOKEN_BUDGET
from minilm_onnx.encoder import SentenceEncoder
from minilm_onnx.errors import InputError
from minilm_onnx.reading import TextFile, read_lines

# Of a description in --help, as argparse has it on a terminal of 80.
WIDTH = 78
Subparsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def add_command(
    subparsers: Subparsers, name: str, *, summary: str, description: str, examples: Sequence[str]
) -> argparse.ArgumentParser:
    """Add a subcommand.

    Args:
        subparsers: where to.
        name: of it.
        summary: what it gives, in some words.
        description: what it does.
        examples: command lines.
    """
    return subparsers.add_parser(
        name,
        help=summary,
        description=textwrap.fill(description, WIDTH),
        epilog="\n  ".join(["examples:", *examples]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_encoder_options(parser: argparse.ArgumentParser) -> None:
    """Add --model and what the encoder can be told about the CPU."""
    parser.add_argument(
        "--model", metavar="DIR", help="model folder; default: the int8 model in the package"
    )
    parser.add_argument(
        "--threads", type=int, metavar="N", help="threads; default: all CPUs the process may use"
    )
    parser.add_argument(
        "--spinning",
        action=argparse.BooleanOptionalAction,
        help="whether threads that share a batch wait for each other by spinning; default: yes",
    )
    parser.add_argument(
        "--pinning",
        action=argparse.BooleanOptionalAction,
        help="whether each thread keeps to a CPU while it works; default: where there are as many "
        "threads as CPUs",
    )
    parser.add_argument(
        "--exact-products",
        action=argparse.BooleanOptionalAction,
        help="whether to use int8 kernels that cannot saturate; default: where this CPU needs them",
    )
    parser.add_argument(
        "--token-budget",
        type=int,
        metavar="N",
        help=f"tokens a run may hold; less takes less memory; default: {TOKEN_BUDGET}",
    )


def load_encoder(options: argparse.Namespace) -> SentenceEncoder:
    """Make the encoder that the options ask for."""
    return SentenceEncoder(
        options.model,
        threads=options.threads,
        spinning=options.spinning,
        pinning=options.pinning,
        exact_products=options.exact_products,
        token_budget=options.token_budget,
    )


def show_bar() -> bool:
    """Whether a progress bar can be shown, and somebody would see it."""
    return sys.stderr.isatty() and find_spec("tqdm") is not None


def read_and_embed(
    options: argparse.Namespace, encoder: SentenceEncoder, most: int | None = None
) -> tuple[list[str], list[str], Matrix]:
    """Read the file and the --field that the options name, and embed its texts.

    Returns:
        N lines, the text of each, and (N, H) float32 unit rows.

    Raises:
        InputError: a line is none, or there are none, or more than `most`.
    """
    with TextFile(options.file) as source:
        rows = list(read_lines(source, options.field))
        if not rows or (most is not None and len(rows) > most):
            limit = "" if most is None else f", at most {most}"
            raise InputError(
                f"{source.name}: expected lines of text{limit}, got {len(rows)}; check the file"
            )
    lines, texts = map(list, zip(*rows, strict=True))
    return lines, texts, encoder.encode(texts, show_progress_bar=show_bar())
