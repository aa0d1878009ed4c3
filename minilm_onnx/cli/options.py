"""Options that several subcommands share."""

import argparse
from typing import TypeAlias

from minilm_onnx.batches import TOKEN_BUDGET
from minilm_onnx.encoder import SentenceEncoder

Subparsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


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
