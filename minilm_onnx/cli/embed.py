"""minilm-onnx embed: a file of texts to a file of vectors, in constant memory."""

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from minilm_onnx.arrays import Matrix
from minilm_onnx.cli.columnar import FORMATS as COLUMNAR
from minilm_onnx.cli.columnar import write_rows, write_texts
from minilm_onnx.cli.inputs import FILE, note_of_field, open_input
from minilm_onnx.cli.options import Subparsers, add_command, add_field, load_encoder, show_bar
from minilm_onnx.cli.resuming import open_resumable
from minilm_onnx.cli.spread import run_on_cluster, without_text
from minilm_onnx.cli.writing import FORMATS, open_output, refuse_input
from minilm_onnx.encoder import SentenceEncoder
from minilm_onnx.errors import InputError
from minilm_onnx.progress import Update, named_bar
from minilm_onnx.reading.columnar import CHUNK, CHUNK_CHARACTERS, ColumnarFile
from minilm_onnx.reading.kinds import is_columnar
from minilm_onnx.reading.rows import Rows
from minilm_onnx.text.pieces import chunks
from minilm_onnx.text.reports import Tally, TextReport


def add_parser(subparsers: Subparsers) -> None:
    """Add the subcommand."""
    parser = add_command(
        subparsers,
        run,
        "embed",
        summary="texts to vectors",
        description="Embed the text of each row, in order. An empty line of plain text is an empty "
        "text.",
        examples=(
            "minilm-onnx embed texts.txt --out vectors.npy",
            "minilm-onnx embed rows.jsonl.gz --field body --out vectors.npy --resume",
            "zcat log.gz | minilm-onnx embed - --format csv > vectors.csv",
            "minilm-onnx embed rows.parquet --field body --out vectors.parquet",
            "minilm-onnx embed --engine ray rows/ vectors/ --field body",
        ),
    )
    parser.add_argument("file", nargs="?", default="-", metavar="FILE", help=FILE)
    parser.add_argument("output", nargs="?", metavar="OUTPUT", help="the same as --out OUTPUT")
    add_field(parser)
    parser.add_argument(
        "--out",
        metavar="FILE",
        help="file to write, complete or not at all: .npy (float32 rows), .jsonl (text and "
        "embedding), .csv (text, e0, e1, ...), .parquet or .arrow (the input's columns and the "
        "vectors); default, and -: stdout",
    )
    parser.add_argument(
        "--format",
        choices=(*FORMATS, *COLUMNAR),
        help="output format; default: by the suffix of --out; jsonl on stdout",
    )
    parser.add_argument(
        "--column",
        default="embedding",
        metavar="NAME",
        help="name of the column of vectors in .parquet and .arrow; default: %(default)s",
    )
    parser.add_argument(
        "--precision",
        choices=("float32", "int8"),
        default="float32",
        help="type of that column; int8 scales each vector so that its largest component is 127; "
        "default: %(default)s",
    )
    parser.add_argument(
        "--engine",
        choices=("local", "ray"),
        default="local",
        help="ray: use all machines of a Ray cluster; reads .parquet or .jsonl (a file or a "
        "folder), writes a folder, and resumes if run again; default: %(default)s",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="if interrupted, keep finished work in FILE.partial; if there is some, resume from it",
    )


def run(options: argparse.Namespace) -> int:
    """Stream the texts through the encoder, a chunk at a time."""
    if options.output is not None and options.out is not None:
        raise InputError(f"--out {options.out}: expected one output, got {options.output} too")
    if options.engine == "ray":
        return run_on_cluster(options)
    given = options.output or options.out
    options.out = None if given in (None, "-") else Path(given)
    if options.file != "-" and os.path.isdir(options.file):  # noqa: PTH112  # Path's may raise
        raise InputError(f"{options.file}: expected a file, got a folder; --engine ray takes one")
    kind = _format(options.format, options.out)
    if options.resume and options.out is None:
        raise InputError("--resume: expected --out FILE, got stdout; name a file")
    if options.resume and kind in COLUMNAR:
        raise InputError(
            f"--resume: expected .npy, .jsonl or .csv, got .{kind}; leave it out, since "
            "such a file cannot be resumed"
        )
    if kind not in COLUMNAR and options.precision != "float32":
        raise InputError(
            f"--precision {options.precision}: expected .parquet or .arrow, got .{kind}; "
            "leave it out"
        )
    encoder = load_encoder(options)
    refuse_input(options.out, options.file)
    write = _resume if options.resume else _write
    missing, seems = 0, ""
    # Not among vectors that are printed on the same terminal.
    shown = not (options.out is None and sys.stdout.isatty()) and show_bar()
    field: str | None
    if is_columnar(options.file) and kind in COLUMNAR:
        with (
            ColumnarFile(options.file, options.field) as table,
            named_bar("embed", table.rows, show=shown) as done,
        ):
            tally = write_rows(options, kind, encoder, table, done)
            missing, field = table.rows - tally.texts, table.column
    else:
        with open_input(options) as source:
            field, seems = source.field, source.seems
            if kind in COLUMNAR:
                with named_bar("embed", source.total, show=shown) as done:
                    embedded = _embedded(encoder, source.texts(), source, done)
                    tally = write_texts(options, kind, encoder, embedded)
            else:
                tally = write(options.out, kind, encoder, source, shown)
    where = options.out or "stdout"
    shape = f"{tally.texts} x {encoder.dimension} {options.precision}"
    summary = f"{tally.texts} texts to {where}: {shape}"
    summary += without_text(missing) + tally.said(encoder.max_seq_length)
    print(summary + note_of_field(options, field, seems), file=sys.stderr)
    return 0


def _write(
    out: Path | None,
    kind: str,
    encoder: SentenceEncoder,
    source: Rows,
    shown: bool,
) -> Tally:
    """Embed all texts, and say what the model did not see."""
    tally = Tally()
    with (
        named_bar("embed", source.total, show=shown) as done,
        open_output(out, kind, encoder.dimension) as output,
    ):
        for chunk, vectors, reports in _embedded(encoder, source.texts(), source, done):
            output.write(chunk, vectors)
            tally.add(reports)
    return tally


def _resume(
    out: Path,
    kind: str,
    encoder: SentenceEncoder,
    source: Rows,
    shown: bool,
) -> Tally:
    """Do the same, resuming what an earlier run left, and leave as much for a later one."""
    made_by = f"{encoder.fingerprint} by {encoder.runtime}"  # for the same bits throughout
    texts = source.texts()
    with open_resumable(out, kind, encoder.dimension, made_by) as output:
        output.skip(texts)
        if output.tally.texts:
            print(f"resuming after {output.tally.texts} texts", file=sys.stderr)
        try:
            with named_bar("embed", source.total, show=shown) as done:
                known = source.position() if output.tally.texts else 0
                for chunk, vectors, reports in _embedded(encoder, texts, source, done, known):
                    output.write(chunk, vectors, reports)
        except BaseException:
            if output.tally.texts:
                print(
                    f"{output.tally.texts} texts are kept beside {out}; run the same command to "
                    "resume",
                    file=sys.stderr,
                )
            raise
    return output.tally


def _embedded(
    encoder: SentenceEncoder, texts: Iterator[str], source: Rows, done: Update, known: int = 0
) -> Iterator[tuple[list[str], Matrix, list[TextReport]]]:
    """Give texts, vectors, and what the model saw, a chunk at a time.

    Args:
        encoder: makes the vectors.
        texts: those of a file that are left.
        source: the file.
        done: called after each batch, with bytes or rows of the file and the number of texts.
        known: how much of the file an earlier run did.
    """
    told = known
    done(told, 0)
    for chunk in chunks(texts, CHUNK, CHUNK_CHARACTERS):
        read = source.position()
        share = (read - told) / len(chunk)
        told = read

        def part(count: int, share: float = share) -> None:
            done(count * share, count)

        yield chunk, *encoder.embed_texts(chunk, done=part)


def _format(given: str | None, out: Path | None) -> str:
    """Decide the output format, from the option or the file's suffix."""
    suffix = out.suffix.removeprefix(".").lower() if out is not None else ""
    if given is not None:
        kind = given
        if suffix in (*FORMATS, *COLUMNAR) and suffix != given:
            raise InputError(
                f"--out {out}: expected the suffix .{given} of --format {given}, got .{suffix}; "
                "rename it or leave --format out"
            )
    elif out is None:
        kind = "jsonl"
    else:
        kind = suffix
        if kind not in (*FORMATS, *COLUMNAR):
            raise InputError(
                f"--out {out}: expected a suffix .npy, .jsonl, .csv, .parquet or .arrow, got "
                f"{out.suffix!r}; rename it or give --format"
            )
    if kind in ("npy", *COLUMNAR) and out is None:
        raise InputError(
            f"--format {kind}: expected --out FILE, got stdout; such a file is finished at its "
            "beginning or end, which a pipe cannot do"
        )
    return kind
