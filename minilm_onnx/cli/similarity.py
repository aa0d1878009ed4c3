"""minilm-onnx similarity A B [B ...]: how alike texts are."""

import argparse

from minilm_onnx.cli.options import Subparsers, add_encoder_options, load_encoder


def add_parser(subparsers: Subparsers) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "similarity",
        help="how alike texts are",
        description="Print the cosine similarity of A with each B, a line each, in their order.",
    )
    parser.add_argument("a", metavar="A", help="a text")
    parser.add_argument("b", metavar="B", nargs="+", help="texts to compare it with")
    add_encoder_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print one line a text: similarity, tab, text."""
    encoder = load_encoder(options)
    vectors = encoder.encode([options.a, *options.b])
    for score, text in zip(encoder.similarity(vectors[0], vectors[1:])[0], options.b, strict=True):
        print(f"{score:.4f}\t{text}")
    return 0
