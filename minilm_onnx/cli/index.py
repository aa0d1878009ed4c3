"""minilm-onnx index PATH... --db FILE: files and folders into a database to search."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from minilm_onnx.cli.options import (
    Subparsers,
    add_command,
    add_field,
    counted,
    load_encoder,
    printable,
    show_bar,
)
from minilm_onnx.errors import InputError, MiniLMError, shorten
from minilm_onnx.index.storage import Storage
from minilm_onnx.reading.kinds import SUFFIXES

if TYPE_CHECKING:
    from minilm_onnx.index.indexing import Outcome


def add_parser(subparsers: Subparsers) -> None:
    """Add the subcommand."""
    parser = add_command(
        subparsers,
        run,
        "index",
        summary="files and folders into a database to search",
        description="Split text, Markdown, JSON lines and tables (.csv, .tsv, .parquet, .arrow) "
        "into passages, embed them, and store them in one file. Run it again to embed only what "
        "changed and to remove what no longer exists. It can be stopped at any time.",
        examples=(
            "minilm-onnx index notes/ --db notes.db",
            "minilm-onnx index faq.csv --field question --db faq.db",
            "minilm-onnx index --db notes.db --storage int8 --rebuild",
        ),
    )
    parser.add_argument(
        "paths",
        nargs="*",
        metavar="PATH",
        help="a file (.txt, .md, .rst, .jsonl, .csv, .tsv, also with .gz; .parquet, .arrow; any "
        "other is read as text) or a folder",
    )
    parser.add_argument("--db", type=Path, required=True, metavar="FILE", help="the database")
    add_field(parser)
    parser.add_argument(
        "--lines",
        action=argparse.BooleanOptionalAction,
        help="whether each line of a text file is a separate text, or with --field a JSON object; "
        "default: no",
    )
    parser.add_argument(
        "--storage",
        choices=get_args(Storage),
        help="how vectors are stored; default: as the database has them; float32 in a new one",
    )
    parser.add_argument(
        "--rebuild",
        action="store_true",
        help="embed all passages again, to change the model, the runtime or --storage of a "
        "database",
    )
    parser.set_defaults(rest="paths")


def _say(outcome: "Outcome", db: Path) -> None:
    """Print what a run did, as far as it came."""
    for error in outcome.refused.values():
        print(f"warning: {printable(str(error))}", file=sys.stderr)
    for source, left_out in outcome.left_out.items():
        line = printable(f"{source}: indexed without the metadata of {', '.join(left_out)}")
        print(f"warning: {shorten(line)}", file=sys.stderr)
    changes = outcome.changed.values()
    said = []
    if outcome.unchanged:
        said.append(f"{counted(outcome.unchanged, 'file')} unchanged")
    if changes:
        passages = counted(sum(change.passages for change in changes), "passage")
        said.append(
            f"{counted(len(changes), 'file')} indexed ({passages}, "
            f"{sum(change.embedded for change in changes)} of them embedded)"
        )
    if outcome.removed:
        said.append(f"{len(outcome.removed)} gone and removed")
    if outcome.others:
        said.append(f"{counted(outcome.others, 'file')} of other kinds left out")
    if outcome.links:
        names = shorten(", ".join(map(printable, outcome.links)))
        said.append(f"{counted(len(outcome.links), 'linked folder')} left out ({names})")
    if unreadable := sum(change.unreadable for change in changes):
        said.append(f"{counted(unreadable, 'passage')} mostly unknown to the model")
    if said:
        print(f"{db}: {'; '.join(said)}", file=sys.stderr)


def run(options: argparse.Namespace) -> int:
    """Index, and say what was done; files that could not be read make it a failure."""
    if not options.paths and not options.rebuild:
        raise InputError("index: expected files or folders, got none; name some, or --rebuild")
    if options.db.suffix.lower() in SUFFIXES:
        raise InputError(
            f"--db {options.db}: expected the name of a database, got one as a text has; choose "
            "another, such as notes.db"
        )
    # Not needed by the other commands.
    from minilm_onnx.index.indexing import Outcome, index_paths, refuse_missing
    from minilm_onnx.index.store import is_there
    from minilm_onnx.index.textindex import TextIndex

    outcome = Outcome()
    paths = [Path(path) for path in options.paths]
    if not is_there(options.db):
        for path in paths:
            refuse_missing(path)  # before a database is made for nothing
    rebuilt: list[int] = []
    shown = show_bar()
    with TextIndex(
        options.db,
        load_encoder(options),
        storage=options.storage,
        rebuild_vectors=options.rebuild,
        show_progress_bar=shown,
        done=rebuilt.append,
    ) as index:
        if options.rebuild:
            print(
                f"{options.db}: {counted(sum(rebuilt), 'passage')} embedded again", file=sys.stderr
            )
        try:
            index_paths(
                index,
                paths,
                text_field=options.field,
                lines=options.lines,
                show_progress_bar=shown,
                outcome=outcome,
            )
        finally:
            _say(outcome, options.db)
        count = counted(len(index), "passage")
        made_by = ""
        if len(index.runtimes) > 1:
            made_by = f", made by {' and '.join(index.runtimes)}"
            made_by += " (close, but not the same bits; --rebuild makes them one)"
        print(f"{options.db}: {count}, kept as {index.storage}{made_by}", file=sys.stderr)
    if outcome.refused:
        raise MiniLMError(
            f"{options.db}: expected to read all files, got {len(outcome.refused)} that cannot be "
            "(see above); what the database had of them is still there"
        )
    return 0
