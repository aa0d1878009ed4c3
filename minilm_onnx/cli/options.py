"""Options that several subcommands share."""

import argparse
import math
import sys
import textwrap
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, NoReturn, TypeAlias
from unicodedata import bidirectional, category

from minilm_onnx.encoder import SentenceEncoder
from minilm_onnx.engine.batches import TOKEN_BUDGET
from minilm_onnx.engine.native import KERNEL, NONE, PLAIN
from minilm_onnx.errors import InputError, installing

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

# Of a description in --help, as argparse has it on a terminal of 80.
WIDTH = 78
# Classes of characters that turn the order in which others are shown.
TURNING = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
KERNELS = (
    f"The environment variable {KERNEL} chooses the kernel of the native operators: a name that "
    f"the command info lists, such as avx2 or neon; {PLAIN} for plain C, which runs everywhere and "
    f"is slow; {NONE} for onnxruntime's own operators. Default: the fastest that this CPU has."
)
Subparsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def add_command(
    subparsers: Subparsers,
    run: Callable[[argparse.Namespace], int],
    name: str,
    *,
    summary: str,
    description: str,
    examples: Sequence[str],
    model: bool = True,
) -> argparse.ArgumentParser:
    """Add a subcommand.

    Args:
        subparsers: where to.
        run: what it does with its options; gives the exit code.
        name: of it.
        summary: what it gives, in some words.
        description: what it does.
        examples: command lines.
        model: whether it loads one, and takes the options for that.
    """
    parser = subparsers.add_parser(
        name,
        help=summary,
        description=textwrap.fill(description, WIDTH),
        epilog="\n  ".join(["examples:", *examples]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    if model:
        _add_encoder_options(
            parser.add_argument_group("the model and the CPU", textwrap.fill(KERNELS, WIDTH))
        )
    return parser


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, as all others."""

    def error(self, message: str) -> NoReturn:
        """Raise InputError."""
        raise InputError(f"arguments: {message}; see {self.prog} --help")

    def _print_message(self, message: str, file: "SupportsWrite[str] | None" = None) -> None:
        """Print --help or --version; argparse's own keeps it to itself where that fails."""
        (sys.stderr if file is None else file).write(message)


def add_field(parser: argparse.ArgumentParser) -> None:
    """Add --field, which says the same wherever files are read."""
    parser.add_argument(
        "--field",
        metavar="NAME",
        help="column or JSON field that holds the text; default: text, or else the only column of "
        "a table; in other files each line is then read as JSON",
    )


def at_least_one(word: str) -> int:
    """Read a positive number, for argparse."""
    if not word.isdecimal() or not int(word):
        raise argparse.ArgumentTypeError(f"expected a whole number of 1 or more, got {word!r}")
    return int(word)


def port(word: str) -> int:
    """Read a port, for argparse."""
    if not word.isdecimal() or len(word) > 5 or int(word) >= 2**16:
        raise argparse.ArgumentTypeError(f"expected 0 to 65535, got {word!r}")
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
    words = (word if word.isprintable() else "".join(map(_shown, word)) for word in text.split())
    return " ".join(words)


def printable_line(line: str) -> str:
    """Do the same with a line whose spaces mean something."""
    return line if line.isprintable() else "".join(map(_shown, line))


def is_harmless(character: str) -> bool:
    """Whether a terminal shows a character, or joins others by it; not if it commands by it.

    Neither controls (Cc), nor halves of a pair (Cs), nor what turns the order of what follows:
    https://www.unicode.org/reports/tr9/#Explicit_Directional_Embeddings and those below it.
    """
    return category(character) not in ("Cc", "Cs") and bidirectional(character) not in TURNING


def _shown(character: str) -> str:
    return character if is_harmless(character) else ascii(character)[1:-1]


def _add_encoder_options(parser: argparse._ArgumentGroup) -> None:
    """Add --model and what the encoder can be told about the CPU."""
    parser.add_argument(
        "--model",
        metavar="NAME_OR_DIR",
        help="model folder, or a name that `minilm-onnx models` lists; default: the int8 model in "
        "the package",
    )
    parser.add_argument(
        "--threads",
        type=int,
        metavar="N",
        help="number of threads; default: the CPUs that the process may use",
    )
    parser.add_argument(
        "--spinning",
        action=argparse.BooleanOptionalAction,
        help="whether threads that share a batch wait for each other by spinning; default: yes",
    )
    parser.add_argument(
        "--pinning",
        action=argparse.BooleanOptionalAction,
        help="whether each thread stays on one CPU while it works; default: if there are as many "
        "threads as CPUs",
    )
    parser.add_argument(
        "--exact-products",
        action=argparse.BooleanOptionalAction,
        help="whether to use onnxruntime's int8 kernels that cannot saturate; default: if this CPU "
        "needs them; the native operators never saturate",
    )
    parser.add_argument(
        "--bf16",
        action="store_true",
        help="multiply in bf16: faster and less exact, for an fp32 model on an Arm CPU with bf16; "
        "refused where it would have no effect",
    )
    parser.add_argument(
        "--token-budget",
        type=int,
        metavar="N",
        help=f"maximum tokens in a batch; less takes less memory; default: {TOKEN_BUDGET}",
    )


def load_encoder(options: argparse.Namespace) -> SentenceEncoder:
    """Make the encoder that the options ask for."""
    return SentenceEncoder(
        options.model,
        threads=options.threads,
        spinning=options.spinning,
        pinning=options.pinning,
        exact_products=options.exact_products,
        bf16=options.bf16,
        token_budget=options.token_budget,
    )


def show_bar(*, hint: bool = True) -> bool:
    """Whether a progress bar can be shown, and somebody would see it.

    Args:
        hint: whether to say what to install where it is missing.
    """
    if not sys.stderr.isatty():
        return False
    if find_spec("tqdm") is not None:
        return True
    if hint:
        print(f"no progress bar; for one, {installing('progress')}", file=sys.stderr)
    return False
