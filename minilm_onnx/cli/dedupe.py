"""minilm-onnx dedupe FILE: lines that say what an earlier one says."""

import argparse
import json
import sys
from pathlib import Path

from minilm_onnx.cli.options import (
    Subparsers,
    add_command,
    add_encoder_options,
    cosine,
    counted,
    load_encoder,
    printable,
    read_and_embed,
)
from minilm_onnx.cli.writing import whole_file
from minilm_onnx.errors import InputError
from minilm_onnx.vectors.grouping import near_duplicates


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
        "--threshold", type=cosine, default=0.9, metavar="COSINE", help="least cosine; default: 0.9"
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="write the lines that are kept, blank ones among them, whole or not at all",
    )
    parser.add_argument("--json", action="store_true", help="print the duplicates as JSON")
    add_encoder_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the duplicates below their originals, or as JSON, and write the rest."""
    if options.out is not None and options.out.suffix == ".gz":
        raise InputError(f"--out {options.out}: expected a name without .gz; gzip it afterwards")
    read = read_and_embed(options, load_encoder(options))
    numbers, texts = read.numbers, read.texts
    found = near_duplicates(read.vectors, options.threshold, read.batch_size)
    if options.json:
        named = [
            {"line": numbers[row], "of": numbers[original], "score": score, "text": texts[row]}
            for row, original, score in found
        ]
        print(json.dumps(named, indent=2))
    elif options.out is None:
        below: dict[int, list[tuple[int, float]]] = {}
        for row, original, score in found:
            below.setdefault(original, []).append((row, score))
        for original, duplicates in sorted(below.items()):
            print(f"line {numbers[original]}: {printable(texts[original])}")
            for row, score in duplicates:
                print(f"  {score:.4f}  line {numbers[row]}: {printable(texts[row])}")
    if options.out is not None:
        dropped = {numbers[row] for row, _, _ in found}
        with whole_file(options.out) as file:
            for number, line in enumerate(read.lines, 1):
                if number not in dropped:
                    file.write(line.encode() + b"\n")
    print(
        f"{counted(len(found), 'near-duplicate')} in {counted(len(texts), 'line')}"
        f" (cosine {options.threshold:g} or more)",
        file=sys.stderr,
    )
    return 0
