"""Options that several subcommands share."""

import argparse
from typing import TypeAlias

from minilm_onnx.encoder import SentenceEncoder

Subparsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def add_encoder_options(parser: argparse.ArgumentParser) -> None:
    """Add --model and --threads."""
    parser.add_argument(
        "--model", metavar="DIR", help="model folder; default: the int8 model in the package"
    )
    parser.add_argument(
        "--threads", type=int, metavar="N", help="threads; default: all CPUs the process may use"
    )


def load_encoder(options: argparse.Namespace) -> SentenceEncoder:
    """Make the encoder that the options ask for."""
    return SentenceEncoder(options.model, threads=options.threads)
