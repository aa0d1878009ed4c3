"""minilm-onnx cluster FILE: groups of lines about the same thing."""

import argparse
import json
import sys

from minilm_onnx.cli.inputs import add_file, read_and_embed
from minilm_onnx.cli.options import (
    Subparsers,
    add_command,
    at_least_one,
    cosine,
    counted,
    load_encoder,
    printable,
)
from minilm_onnx.vectors.grouping import community_detection


def add_parser(subparsers: Subparsers) -> None:
    """Add the subcommand."""
    parser = add_command(
        subparsers,
        run,
        "cluster",
        summary="groups of lines about the same thing",
        description="Print groups of similar lines, the largest group first. All lines of a group "
        "are close to its first line, the centre. A line is in at most one group.",
        examples=("minilm-onnx cluster feedback.txt --threshold 0.6 --least 3",),
    )
    add_file(parser)
    parser.add_argument(
        "--threshold",
        type=cosine,
        default=0.75,
        metavar="COSINE",
        help="minimum cosine to the centre of a group; default: %(default)s",
    )
    parser.add_argument(
        "--least",
        type=at_least_one,
        default=2,
        metavar="N",
        help="minimum number of lines in a group; default: 2",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    """Print the groups."""
    read = read_and_embed(options, load_encoder(options))
    texts = read.texts
    groups = community_detection(
        read.vectors, options.threshold, options.least, read.batch_size, read.show_bar
    )
    if options.json:
        named = [
            [
                {"line": texts[row].first_line, "text": texts[row].text, "cut": read.cut[row]}
                for row in group
            ]
            for group in groups
        ]
        print(json.dumps(named, indent=2))
    else:
        for group in groups:
            print(counted(len(group), "line"))
            for row in group:
                print(f"  line {texts[row].first_line}: {printable(texts[row].text)}")
    grouped = sum(map(len, groups))
    print(
        f"{counted(len(groups), 'group')} of {grouped} of {counted(len(texts), 'line')}{read.note}",
        file=sys.stderr,
    )
    return 0
