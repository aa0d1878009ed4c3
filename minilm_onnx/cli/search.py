"""minilm-onnx search: which passages of a database, or of a file, answer a question."""

import argparse
import json
import stat
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from minilm_onnx.cli.hits import show, takes_colour
from minilm_onnx.cli.inputs import note_of_field, say_waiting
from minilm_onnx.cli.options import (
    Subparsers,
    add_command,
    add_field,
    at_least_one,
    counted,
    load_encoder,
    printable,
    show_bar,
)
from minilm_onnx.encoder import SentenceEncoder
from minilm_onnx.errors import InputError, shorten
from minilm_onnx.index.folding import folded

if TYPE_CHECKING:
    from minilm_onnx.index.results import Result

# Bytes of a file that takes seconds to embed.
LARGE = 2**17
# Results whose sentences are embedded, to show the one that answers; the eye goes no further.
MOST_MARKED = 20


def add_parser(subparsers: Subparsers) -> None:
    """Add the subcommand."""
    parser = add_command(
        subparsers,
        run,
        "search",
        summary="which passages of a database, or of a file, answer a question",
        description="Print the passages that are closest to a question in meaning, the best first: "
        "score, source and lines, the headings above, and the passage. The score is a cosine; with "
        "--hybrid the ranks by words and by meaning are shown instead.",
        examples=(
            "minilm-onnx search --db notes.db how do I get my money back",
            'minilm-onnx search --db notes.db "error XK9931" --hybrid --source "*.md" --json',
            'minilm-onnx search faq.txt "how do I get my money back?" --top 3',
            'minilm-onnx search --db notes.db --where "modified >= 2020-01-01" money back',
        ),
    )
    parser.add_argument(
        "words",
        nargs="+",
        metavar="WORD",
        help="the question; without --db, first a file with one text per line (Markdown, JSON "
        "lines, .csv, .tsv, .parquet and .arrow are read as in index; - is stdin)",
    )
    parser.add_argument("--db", type=Path, metavar="FILE", help="a database made by index")
    parser.add_argument(
        "--top",
        type=at_least_one,
        default=5,
        metavar="N",
        help="number of passages, at most 4096; default: 5",
    )
    parser.add_argument(
        "--hybrid",
        action="store_true",
        help="combine the ranking by meaning with a ranking by words (BM25), by reciprocal ranks",
    )
    parser.add_argument(
        "--source",
        action="append",
        metavar="PATTERN",
        help="search only sources or folders that match, such as 'notes/*.md' (in quotes; * is "
        "any text); can be repeated",
    )
    parser.add_argument(
        "--where",
        action="append",
        metavar="FILTER",
        help="search only passages whose metadata matches, such as \"lang = 'en' and year >= "
        '2020" (in quotes). Fields are those of JSON lines, tables and front matter, and '
        "modified, the file's time. Operators: =, !=, <, <=, >, >=, in (...), like '...%%', is "
        "null, and, or, not, parentheses (docs/search.md)",
    )
    add_field(parser)
    parser.add_argument("--json", action="store_true", help="print a JSON array")
    parser.set_defaults(rest="words")


@dataclass(frozen=True)
class _Found:
    """What a search gave.

    Attributes:
        encoder: that was asked.
        question: what was.
        results: the best first.
        cut: whether the model did not read one whole, a bool a result; [] of a database.
        hint: why there may be none.
    """

    encoder: SentenceEncoder
    question: str
    results: "list[Result]"
    cut: list[bool]
    hint: str = ""


def run(options: argparse.Namespace) -> int:
    """Search, and print what was found; 1 if nothing was."""
    options.where = _one_filter(options.where or [])
    found = _in_database(options) if options.db else _in_file(options)
    if options.json:
        rows = [asdict(result) for result in found.results]
        for row, one in zip(rows, found.cut, strict=False):  # passages of a database are not cut
            row["cut"] = one
        print(json.dumps(rows, indent=2))
    elif found.results and takes_colour():
        _show_marked(found)
    else:
        for result in found.results:
            print(show(result))
    if not found.results:
        where = f" in sources that fit {' or '.join(options.source)}" if options.source else ""
        where += f" whose metadata matches {printable(options.where)}" if options.where else ""
        print(f"no results: there are no passages{where}{found.hint}", file=sys.stderr)
        return 1
    return 0


def _show_marked(found: _Found) -> None:
    """Print results, in each the sentence that answers the question set off."""
    from minilm_onnx.index.sentences import answering

    query = found.encoder.encode_query(folded(found.question))
    for place, result in enumerate(found.results):
        marked = answering(found.encoder, query, result.text) if place < MOST_MARKED else None
        print(show(result, marked), flush=True)


def _one_filter(filters: list[str]) -> str | None:
    """Give the filter, if there is one; of two argparse would drop the first without a word."""
    if len(filters) > 1:
        raise InputError(
            f"--where: expected one filter, got {len(filters)}; join them with and: "
            f"--where {shorten(' and '.join(f'({one})' for one in filters))!r}"
        )
    return filters[0] if filters else None


def _in_database(options: argparse.Namespace) -> _Found:
    """Search, and say what the model did not read of the question."""
    if options.field is not None:
        raise InputError("--field: expected a file to search, got --db; leave it out")
    _refuse_files(options.words)
    # Not needed by the other commands.
    from minilm_onnx.index.filterparsing import say_unknown
    from minilm_onnx.index.textindex import TextIndex

    question = " ".join(options.words)
    with TextIndex(options.db, load_encoder(options), create_file=False) as index:
        found = index.search(
            question,
            top_k=options.top,
            hybrid=options.hybrid,
            source=options.source,
            where=options.where,
        )
        _say_cut(index.encoder, question)
        unknown = say_unknown(options.where, index.fields()) if options.where and not found else ""
        return _Found(index.encoder, question, found, [], f"; {unknown}" if unknown else "")


def _in_file(options: argparse.Namespace) -> _Found:
    """Do the same in a file."""
    for name in ("hybrid", "source"):
        if getattr(options, name):
            raise InputError(f"--{name}: expected a database, got a file; make one with index")
    file, *words = options.words
    if file != "-" and not _is_file(file):
        raise InputError(
            f"search: expected a file and a question, or --db FILE and a question, got "
            f"{shorten(file)!r}, which is no file; a folder is to be indexed first"
        )
    if not words:
        raise InputError(
            f"search: expected a question after the file {shorten(file)!r}, got none; ask something"
        )
    _refuse_files(words)
    from minilm_onnx.index.filesearch import search_file

    encoder, question = load_encoder(options), " ".join(words)
    say_waiting(file, options.field)
    found = search_file(
        encoder,
        file,
        question,
        options.top,
        field=options.field,
        where=options.where,
        show_bar=show_bar(hint=file == "-" or Path(file).stat().st_size > LARGE),
    )
    said = found.tally.said(encoder.max_seq_length)
    said += "; index splits long ones" if found.tally.cut else ""
    if said := said + note_of_field(options, None, found.seems):
        print(f"{counted(found.tally.texts, 'text')}{said}", file=sys.stderr)
    _say_cut(encoder, question)
    return _Found(encoder, question, found.results, found.cut)


def _say_cut(encoder: SentenceEncoder, question: str) -> None:
    """Say it where the model did not read the question whole."""
    (report,) = encoder.inspect([encoder.prompts.get("query", "") + folded(question)])
    if report.cut:
        print(f"the question was cut at {encoder.max_seq_length} tokens", file=sys.stderr)


def _refuse_files(words: Sequence[str]) -> None:
    """Raise InputError if a question begins with what is the name of a file."""
    if "." in words[0] and _is_file(words[0]):
        raise InputError(
            f"search: expected a question, got the file {shorten(words[0])!r}; leave it out, name "
            "it with --source, or put it and the question in quotes"
        )


def _is_file(name: str) -> bool:
    try:
        return not stat.S_ISDIR(Path(name).stat().st_mode)  # a pipe is read as well
    except PermissionError:  # reading it will say so
        return True
    except (OSError, ValueError):  # too long, or with a NUL
        return False
