"""Speed, quality and memory beside other engines: python -m benchmarks setup, run, report.

`setup` makes an environment for each contender and converts the checkpoint for it; `run`
measures; `report` writes the table of what was measured.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmarks import ceiling, contenders
from benchmarks.bench import Bench
from benchmarks.environments import HOME, ROOT, read_note, set_up_all
from benchmarks.records import open_records, read_lines
from benchmarks.report import report
from benchmarks.runner import run, steps
from benchmarks.workloads import choose, read_corpus
from minilm_onnx import InputError
from minilm_onnx.artifact import sha256_of
from minilm_onnx.cli import report_errors

QUICK_TEXTS = 200


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    home: dict[str, Any] = {
        "type": Path,
        "default": HOME,
        "metavar": "DIR",
        "help": "environments' folder",
    }
    lock: dict[str, Any] = {
        "type": Path,
        "metavar": "FILE",
        "help": "hold this lock while something computes",
    }

    setting = commands.add_parser("setup", help="make environments")
    setting.add_argument("names", nargs="*", metavar="NAME", help="contenders; default: all")
    setting.add_argument("--checkpoint", type=Path, required=True, metavar="DIR")
    setting.add_argument("--home", **home)
    setting.add_argument("--lock", **lock)

    running = commands.add_parser("run", help="measure, or go on with what was interrupted")
    running.add_argument("--corpus", type=Path, required=True, help="JSON lines with a text each")
    running.add_argument("--out", type=Path, required=True, help="raw results, JSON lines")
    running.add_argument("--only", nargs="+", metavar="NAME", help="contenders; default: all")
    running.add_argument("--limit", type=int, metavar="N", help="the corpus's first N texts")
    running.add_argument("--rounds", type=int, default=5, metavar="N", help="default %(default)s")
    running.add_argument("--threads", type=int, default=2, metavar="N", help="default %(default)s")
    running.add_argument(
        "--seconds",
        type=float,
        default=30.0,
        metavar="S",
        help="longest bulk measurement: slower contenders get a share of the texts, which the "
        "report says; default %(default)s",
    )
    running.add_argument("--quick", action="store_true", help="one round, few texts")
    running.add_argument("--home", **home)
    running.add_argument("--lock", **lock)

    reporting = commands.add_parser("report", help="write the table")
    reporting.add_argument("files", nargs="+", type=Path, metavar="FILE", help="raw results")
    reporting.add_argument("--home", **home)
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """Run one command."""
    options = parse(arguments)
    names = getattr(options, "names", None) or getattr(options, "only", None) or contenders.names()
    unknown = sorted(set(names) - set(contenders.names()))
    if unknown:
        raise InputError(
            f"contenders: expected some of {', '.join(contenders.names())}, "
            f"got {', '.join(unknown)}"
        )
    if options.command == "setup":
        return 0 if set_up_all(names, options.home, options.checkpoint, options.lock) else 1
    if options.command == "report":
        lines = [line for path in options.files for line in read_lines(path)]
        notes = [note for name in names if (note := read_note(options.home, name))]
        print(report(lines, notes))
        return 0
    measure(options, names)
    return 0


def measure(options: argparse.Namespace, names: list[str]) -> None:
    """Run the contenders that are set up.

    Raises:
        InputError: nothing is set up, or the corpus cannot be read.
    """
    home = options.home.resolve()
    notes = {name: read_note(home, name) for name in [*names, contenders.REFERENCE, ceiling.NAME]}
    missing = [name for name, note in notes.items() if note is None or note.step != "ready"]
    needed = sorted({contenders.REFERENCE, ceiling.NAME} & set(missing))
    if needed:
        raise InputError(f"{home}: expected {', '.join(needed)} set up; see setup --help")
    for name in missing:
        print(f"{name} is not set up: left out", file=sys.stderr)
    names = [name for name in names if name not in missing]
    limit = QUICK_TEXTS if options.quick and options.limit is None else options.limit
    rounds = 1 if options.quick else options.rounds
    workloads = choose(read_corpus(options.corpus, limit), quick=options.quick)
    digest = sha256_of(options.corpus)
    records = open_records(options.out, ROOT, digest, options.threads)
    total = steps(names, workloads, rounds)
    with (
        tempfile.TemporaryDirectory() as scratch,
        tqdm(total=total, desc="benchmarks", dynamic_ncols=True) as bar,
    ):
        bench = Bench(
            home,
            records,
            options.threads,
            workloads,
            options.seconds,
            options.lock,
            Path(scratch),
            bar,
        )
        run(bench, names, rounds)


if __name__ == "__main__":
    sys.exit(report_errors(main, sys.argv[1:]))
