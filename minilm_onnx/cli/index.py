"""minilm-onnx index PATH... --db FILE: files and folders into a database to search."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from minilm_onnx.cli.options import Subparsers, add_command, add_encoder_options, load_encoder
from minilm_onnx.errors import MiniLMError

if TYPE_CHECKING:
    from minilm_onnx.indexing import Outcome

STORAGE = ("float32", "int8", "binary")


def add_parser(subparsers: Subparsers) -> None:
    """Add the subcommand."""
    parser = add_command(
        subparsers,
        "index",
        summary="files and folders into a database to search",
        description="Split text, Markdown, JSON lines and tables into passages, embed them, and "
        "keep them in one file. Run again, it embeds only what changed and takes out what is gone; "
        "it may be stopped at any time.",
        examples=(
            "minilm-onnx index notes/ --db notes.db",
            "minilm-onnx index faq.csv --field question --db faq.db",
            "minilm-onnx index notes/ --db notes.db --storage int8 --rebuild",
        ),
    )
    parser.add_argument(
        "paths",
        nargs="+",
        metavar="PATH",
        help="a file (.txt, .md, .rst, .jsonl, .csv, .tsv, also with .gz; another is read as text) "
        "or a folder of those",
    )
    parser.add_argument("--db", type=Path, required=True, metavar="FILE", help="the database")
    parser.add_argument(
        "--field", metavar="NAME", help='of rows, the field or column to index; default: "text"'
    )
    parser.add_argument(
        "--lines", action="store_true", help="each line of a text file is a text of its own"
    )
    parser.add_argument(
        "--storage",
        choices=STORAGE,
        help="how vectors are kept; default: what the database has, float32 in a new one",
    )
    parser.add_argument(
        "--rebuild",
        action="store_true",
        help="embed all passages again, where another model made the database or it is to be of "
        "another --storage",
    )
    add_encoder_options(parser)
    parser.set_defaults(run=run, rest="paths")


def _say(outcome: "Outcome", db: Path) -> None:
    """Print what a run did, as far as it came."""
    for error in outcome.refused.values():
        print(f"warning: {error}", file=sys.stderr)
    changes = outcome.changed.values()
    said = [f"{outcome.unchanged} files unchanged"]
    if changes:
        said.append(
            f"{len(changes)} indexed ({sum(change.passages for change in changes)} passages, "
            f"{sum(change.embedded for change in changes)} of them embedded)"
        )
    if outcome.removed:
        said.append(f"{len(outcome.removed)} gone and removed")
    if unreadable := sum(change.unreadable for change in changes):
        said.append(f"{unreadable} passages are mostly unknown to the model, which reads English")
    print(f"{db}: {'; '.join(said)}", file=sys.stderr)


def run(options: argparse.Namespace) -> int:
    """Index, and say what was done; files that could not be read make it a failure."""
    # Not needed by the other commands.
    from minilm_onnx.index import TextIndex
    from minilm_onnx.indexing import Outcome, index_paths, refuse_missing

    outcome = Outcome()
    paths = [Path(path) for path in options.paths]
    if not options.db.exists():
        for path in paths:
            refuse_missing(path)  # before a database is made for nothing
    with TextIndex(
        options.db,
        load_encoder(options),
        storage=options.storage,
        rebuild_vectors=options.rebuild,
    ) as index:
        try:
            index_paths(
                index,
                paths,
                text_field=options.field,
                lines=options.lines,
                show_progress_bar=sys.stderr.isatty(),
                outcome=outcome,
            )
        finally:
            _say(outcome, options.db)
        print(f"{options.db}: {len(index)} passages, kept as {index.storage}", file=sys.stderr)
    if outcome.refused:
        raise MiniLMError(
            f"{options.db}: expected to read all files, got {len(outcome.refused)} that cannot be "
            "(see above); what the database had of them is still there"
        )
    return 0
