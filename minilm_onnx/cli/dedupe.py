"""minilm-onnx dedupe FILE: lines that say what an earlier one says."""

import argparse
import json
import sys
from pathlib import Path

from minilm_onnx.cli.options import (
    Subparsers,
    add_command,
    add_encoder_options,
    load_encoder,
    read_and_embed,
)
from minilm_onnx.cli.writing import whole_file
from minilm_onnx.errors import InputError
from minilm_onnx.search import near_duplicates

# Cosines to hold at a time.
MOST_COSINES = 2**24


def add_parser(subparsers: Subparsers) -> None:
    """Add the subcommand."""
    parser = add_command(
        subparsers,
        "dedupe",
        summary="lines that say what an earlier one says",
        description="Print each line that is nearly the same as an earlier one, below that one; or "
        "write the others to a file. All lines are compared with all: 100,000 take a minute or "
        "two once they are embedded.",
        examples=(
            "minilm-onnx dedupe questions.txt",
            "minilm-onnx dedupe rows.jsonl --field body --threshold 0.95 --out fewer.jsonl",
        ),
    )
    parser.add_argument("file", metavar="FILE", help="one text a line; .gz is unpacked; - is stdin")
    parser.add_argument(
        "--field", metavar="NAME", help="the lines are JSON objects: compare this field of each"
    )
    parser.add_argument(
        "--threshold", type=float, default=0.9, metavar="COSINE", help="least cosine; default: 0.9"
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="write the lines that are kept, as they are, whole or not at all",
    )
    parser.add_argument("--json", action="store_true", help="print the duplicates as JSON")
    add_encoder_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the duplicates below their originals, or as JSON, and write the rest."""
    if options.out is not None and options.out.suffix == ".gz":
        raise InputError(f"--out {options.out}: expected a name without .gz; gzip it afterwards")
    lines, texts, vectors = read_and_embed(options, load_encoder(options))
    rows = max(1, MOST_COSINES // max(1, len(texts)))
    found = near_duplicates(vectors, options.threshold, min(rows, 1024))
    if options.json:
        named = [
            {"line": row + 1, "of": original + 1, "score": score, "text": texts[row]}
            for row, original, score in found
        ]
        print(json.dumps(named, indent=2))
    elif options.out is None:
        for original in sorted({original for _, original, _ in found}):
            print(f"line {original + 1}: {texts[original]}")
            for row, of, score in found:
                if of == original:
                    print(f"  {score:.4f}  line {row + 1}: {texts[row]}")
    if options.out is not None:
        dropped = {row for row, _, _ in found}
        with whole_file(options.out) as file:
            for row, line in enumerate(lines):
                if row not in dropped:
                    file.write(line.encode() + b"\n")
    print(
        f"{len(found)} of {len(texts)} lines are near-duplicates "
        f"(cosine {options.threshold:g} or more)",
        file=sys.stderr,
    )
    return 0
