"""minilm-onnx dedupe FILE: lines that say what an earlier one says."""

import argparse
import json
import sys
from collections.abc import Collection
from pathlib import Path

from minilm_onnx.cli.columnar import write_kept
from minilm_onnx.cli.inputs import EmbeddedRows, add_file, read_and_embed
from minilm_onnx.cli.options import (
    Subparsers,
    add_command,
    cosine,
    counted,
    load_encoder,
    printable,
)
from minilm_onnx.cli.writing import refuse_input, whole_file
from minilm_onnx.errors import InputError
from minilm_onnx.reading.columnar import ColumnarFile
from minilm_onnx.reading.kinds import JSON_LINES, ROWS, is_columnar, is_packed, suffix_of
from minilm_onnx.reading.rows import Row
from minilm_onnx.vectors.grouping import near_duplicates


def add_parser(subparsers: Subparsers) -> None:
    """Add the subcommand."""
    parser = add_command(
        subparsers,
        run,
        "dedupe",
        summary="lines that say what an earlier one says",
        description="Print each line that has near-duplicates, and these below it; or write the "
        "other lines to a file. A line that is longer than the model reads is a duplicate only if "
        "the part that is not read is the same, too. Each line is compared with all others: "
        "100,000 take a minute or two after they are embedded.",
        examples=(
            "minilm-onnx dedupe questions.txt",
            "minilm-onnx dedupe rows.jsonl --field body --threshold 0.95 --out fewer.jsonl",
        ),
    )
    add_file(parser)
    parser.add_argument(
        "--threshold",
        type=cosine,
        default=0.9,
        metavar="COSINE",
        help="minimum cosine; default: %(default)s",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="write the rows without the duplicates, unchanged, complete or not at all; blank "
        "lines are kept in plain text, but not in .jsonl and .csv",
    )
    parser.add_argument("--json", action="store_true", help="print the duplicates as JSON")


def run(options: argparse.Namespace) -> int:
    """Print the duplicates below their originals, or as JSON, and write the rest."""
    if options.out is not None:
        _check_out(options.out, options.file, options.field)
    encoder = load_encoder(options)
    read = read_and_embed(options, encoder)
    texts = read.texts
    unread = [
        encoder.unread([row.text])[0] if cut else ""
        for row, cut in zip(texts, read.cut, strict=True)
    ]
    found = near_duplicates(
        read.vectors,
        options.threshold,
        read.batch_size,
        unread=unread,
        show_progress_bar=read.show_bar,
    )
    if options.json:
        named = [
            {
                "line": texts[row].first_line,
                "of": texts[original].first_line,
                "score": score,
                "text": texts[row].text,
                "cut": read.cut[row],
            }
            for row, original, score in found
        ]
        print(json.dumps(named, indent=2))
    elif options.out is None:
        below: dict[int, list[tuple[int, float]]] = {}
        for row, original, score in found:
            below.setdefault(original, []).append((row, score))
        for original, duplicates in sorted(below.items()):
            print(_line(texts[original]))
            for row, score in duplicates:
                print(f"  {score:.4f}  {_line(texts[row])}")
    if options.out is not None:
        dropped = {texts[row].first_line for row, _, _ in found}
        if is_columnar(options.file):
            with ColumnarFile(options.file, options.field) as table:
                write_kept(options.out, table, dropped)
        else:
            _write_lines(options.out, read, dropped)
    print(
        f"{counted(len(found), 'near-duplicate')} in {counted(len(texts), 'line')}"
        f" (cosine {options.threshold:g} or more){read.note}",
        file=sys.stderr,
    )
    return 0


def _check_out(out: Path, name: str, field: str | None) -> None:
    """Raise InputError if the rows that are kept, as they are, cannot go there."""
    if is_packed(out.name):
        raise InputError(f"--out {out}: expected a name without .gz; gzip it afterwards")
    refuse_input(out, name)
    given, wanted = suffix_of(name), suffix_of(out.name)
    if given == wanted or not {given, wanted} & ROWS:
        return
    is_json = given in JSON_LINES or (given not in ROWS and field is not None)
    if is_json and wanted in JSON_LINES:
        return
    lines = ".jsonl" if field is not None else ".txt"
    expected = f"{given} of {name}" if given in ROWS else f"{lines} for the lines of {name}"
    raise InputError(
        f"--out {out}: expected the suffix {expected}, which are kept as they are, got "
        f"{out.suffix!r}; rename it"
    )


def _write_lines(out: Path, read: EmbeddedRows, dropped: Collection[int]) -> None:
    """Write a file's own lines but for the rows that begin at some."""
    kept = [row.raw for row in read.rows if row.first_line not in dropped]
    with whole_file(out) as file:
        for raw in kept if read.head is None else [read.head, *kept]:
            file.write(raw.encode() + b"\n")


def _line(row: Row) -> str:
    return f"line {row.first_line}: {printable(row.text)}"
