"""Options that several subcommands share."""

import argparse
import math
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import NoReturn, TypeAlias

from minilm_onnx.arrays import Matrix
from minilm_onnx.encoder import SentenceEncoder
from minilm_onnx.engine.batches import TOKEN_BUDGET
from minilm_onnx.errors import InputError
from minilm_onnx.reading.documents import TABLES, suffix_of
from minilm_onnx.reading.textfile import TextFile, read_lines

# Of a description in --help, as argparse has it on a terminal of 80.
WIDTH = 78
# Cosines to hold at a time.
MOST_COSINES = 2**24
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


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, as all others."""

    def error(self, message: str) -> NoReturn:
        """Raise InputError."""
        raise InputError(f"arguments: {message}; see {self.prog} --help")


def at_least_one(word: str) -> int:
    """Read a positive number, for argparse."""
    if not word.isdecimal() or not int(word):
        raise argparse.ArgumentTypeError(f"expected a whole number of 1 or more, got {word!r}")
    return int(word)


def cosine(word: str) -> float:
    """Read a cosine, for argparse."""
    try:
        value = float(word)
    except ValueError:
        value = math.nan
    if not -1 <= value <= 1:
        raise argparse.ArgumentTypeError(f"expected a cosine from -1 to 1, got {word!r}")
    return value


def counted(count: int, what: str) -> str:
    """Give a number with what it counts, such as "1 passage" or "2 passages"."""
    return f"{count} {what}{'' if count == 1 else 's'}"


def printable(text: str) -> str:
    """Put a file's own words on one line, without what would be a terminal's commands."""
    return " ".join(word if word.isprintable() else ascii(word)[1:-1] for word in text.split())


def add_encoder_options(parser: argparse.ArgumentParser) -> None:
    """Add --model and what the encoder can be told about the CPU."""
    parser.add_argument(
        "--model",
        metavar="NAME_OR_DIR",
        help="model folder, or a name that `minilm-onnx models` lists; default: the int8 model in "
        "the package",
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


@dataclass(frozen=True)
class Lines:
    """The lines of a file, and the vectors of those that are not blank.

    Attributes:
        lines: all of them.
        numbers: of the N that are not blank, counted from 1.
        texts: N.
        vectors: (N, H) float32 unit rows.
    """

    lines: list[str]
    numbers: list[int]
    texts: list[str]
    vectors: Matrix

    @property
    def batch_size(self) -> int:
        """How many to compare with all at a time, so that their cosines take little memory."""
        return min(1024, max(1, MOST_COSINES // len(self.texts)))


def read_and_embed(
    options: argparse.Namespace, encoder: SentenceEncoder, most: int | None = None
) -> Lines:
    """Read the file and the --field that the options name, and embed its texts.

    Raises:
        InputError: a line is none, or there are none, or more than `most`.
    """
    if options.field is not None and suffix_of(options.file) in TABLES:
        raise InputError(
            f"{options.file}: expected JSON lines for --field, got a table by its name; index and "
            "search read tables, this does not"
        )
    with TextFile(options.file) as source:
        read = list(read_lines(source, options.field))
        rows = [(number, text) for number, (_, text) in enumerate(read, 1) if text.strip()]
        if not rows or (most is not None and len(rows) > most):
            limit = "" if most is None else f", at most {most}"
            raise InputError(
                f"{source.name}: expected lines of text{limit}, got {len(rows)}; check the file"
            )
    texts = [text for _, text in rows]
    vectors = encoder.encode(texts, show_progress_bar=show_bar())
    return Lines([line for line, _ in read], [number for number, _ in rows], texts, vectors)
