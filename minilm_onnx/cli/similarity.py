"""minilm-onnx similarity: how alike texts are, as figures or as a picture."""

import argparse
import os
import sys
from pathlib import Path

from minilm_onnx.cli.heatmap import MOST_TEXTS, check_suffix, draw
from minilm_onnx.cli.inputs import FILE, read_and_embed
from minilm_onnx.cli.options import (
    Subparsers,
    add_command,
    add_field,
    counted,
    load_encoder,
)
from minilm_onnx.cli.writing import refuse_input, whole_file
from minilm_onnx.errors import InputError
from minilm_onnx.text.reports import tallied


def add_parser(subparsers: Subparsers) -> None:
    """Add the subcommand."""
    parser = add_command(
        subparsers,
        run,
        "similarity",
        summary="how alike texts are",
        description="Print the cosine similarity of A and each B, one per line, in their order. Or "
        "draw the similarities between all lines of a file.",
        examples=(
            'minilm-onnx similarity "a cat" "a dog" "a car"',
            "minilm-onnx similarity texts.txt --heatmap out.png",
        ),
    )
    parser.add_argument("file", metavar="A", help=f"a text; with --heatmap a file: {FILE}")
    parser.add_argument("b", metavar="B", nargs="*", help="texts to compare it with")
    parser.add_argument(
        "--heatmap",
        type=Path,
        metavar="OUT",
        help=f"draw the lines of a file (at most {MOST_TEXTS}) as a heat map: .png, .svg or .html",
    )
    add_field(parser)
    parser.set_defaults(rest="b")


def run(options: argparse.Namespace) -> int:
    """Print one line a text: similarity, tab, text; or draw."""
    if options.heatmap is not None:
        return _draw(options)
    if options.field is not None:
        raise InputError("--field: expected --heatmap with it, got none; leave it out")
    if not options.b:
        raise InputError(
            "similarity: expected two texts or more, got one; add another, or --heatmap OUT for "
            "the lines of a file"
        )
    encoder = load_encoder(options)
    vectors, reports = encoder.embed_texts([options.file, *options.b])
    for score, text in zip(encoder.similarity(vectors[0], vectors[1:])[0], options.b, strict=True):
        print(f"{score:.4f}\t{text}")
    if said := tallied(reports).said(encoder.max_seq_length):
        print(f"{counted(len(reports), 'text')}{said}", file=sys.stderr)
    if os.path.isfile(options.file):  # noqa: PTH113  # Path's own raises where a text is too long
        print(
            f"{options.file} is also a file: its name was compared; --heatmap OUT compares its "
            "lines",
            file=sys.stderr,
        )
    return 0


def _draw(options: argparse.Namespace) -> int:
    if options.b:
        raise InputError(
            f"--heatmap: expected one file, got {len(options.b)} texts beside it; put all in a file"
        )
    check_suffix(options.heatmap)
    refuse_input(options.heatmap, options.file, "--heatmap")
    encoder = load_encoder(options)
    read = read_and_embed(options, encoder, most=MOST_TEXTS)
    cosines = encoder.similarity(read.vectors, read.vectors)
    with whole_file(options.heatmap, "--heatmap") as file:
        draw(file, options.heatmap.suffix.lower(), [row.text for row in read.texts], cosines)
    count = counted(len(read.texts), "text")
    print(f"{count} to {options.heatmap}{read.note}", file=sys.stderr)
    return 0
