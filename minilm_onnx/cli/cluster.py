"""minilm-onnx cluster FILE: groups of lines about the same thing."""

import argparse
import json
import sys

from minilm_onnx.cli.options import (
    Subparsers,
    add_command,
    add_encoder_options,
    at_least_one,
    cosine,
    counted,
    load_encoder,
    printable,
    read_and_embed,
)
from minilm_onnx.vectors.grouping import community_detection


def add_parser(subparsers: Subparsers) -> None:
    """Add the subcommand."""
    parser = add_command(
        subparsers,
        "cluster",
        summary="groups of lines about the same thing",
        description="Print groups of lines that are all near one of them, the largest group first "
        "and its centre first of its lines. A line is in one group at most.",
        examples=("minilm-onnx cluster feedback.txt --threshold 0.6 --least 3",),
    )
    parser.add_argument("file", metavar="FILE", help="one text a line; .gz is unpacked; - is stdin")
    parser.add_argument(
        "--field", metavar="NAME", help="the lines are JSON objects: group by this field of each"
    )
    parser.add_argument(
        "--threshold",
        type=cosine,
        default=0.75,
        metavar="COSINE",
        help="least cosine to the centre of a group; default: 0.75",
    )
    parser.add_argument(
        "--least",
        type=at_least_one,
        default=2,
        metavar="N",
        help="least lines of a group; default: 2",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_encoder_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the groups."""
    read = read_and_embed(options, load_encoder(options))
    numbers, texts = read.numbers, read.texts
    groups = community_detection(read.vectors, options.threshold, options.least, read.batch_size)
    if options.json:
        named = [[{"line": numbers[row], "text": texts[row]} for row in group] for group in groups]
        print(json.dumps(named, indent=2))
    else:
        for group in groups:
            print(counted(len(group), "line"))
            for row in group:
                print(f"  line {numbers[row]}: {printable(texts[row])}")
    grouped = sum(map(len, groups))
    print(
        f"{counted(len(groups), 'group')} of {grouped} of {counted(len(texts), 'line')}",
        file=sys.stderr,
    )
    return 0
