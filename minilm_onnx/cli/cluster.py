"""minilm-onnx cluster FILE: groups of lines about the same thing."""

import argparse
import json
import sys

from minilm_onnx.cli.options import (
    Subparsers,
    add_command,
    add_encoder_options,
    load_encoder,
    read_and_embed,
)
from minilm_onnx.search import community_detection

# Cosines to hold at a time.
MOST_COSINES = 2**24


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
        type=float,
        default=0.75,
        metavar="COSINE",
        help="least cosine to the centre of a group; default: 0.75",
    )
    parser.add_argument(
        "--least", type=int, default=2, metavar="N", help="least lines of a group; default: 2"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_encoder_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the groups."""
    _, texts, vectors = read_and_embed(options, load_encoder(options))
    rows = max(1, MOST_COSINES // max(1, len(texts)))
    groups = community_detection(vectors, options.threshold, options.least, min(rows, 1024))
    if options.json:
        named = [[{"line": row + 1, "text": texts[row]} for row in group] for group in groups]
        print(json.dumps(named, indent=2))
    else:
        for group in groups:
            print(f"{len(group)} lines")
            for row in group:
                print(f"  line {row + 1}: {texts[row]}")
    grouped = sum(map(len, groups))
    print(f"{len(groups)} groups of {grouped} of {len(texts)} lines", file=sys.stderr)
    return 0
