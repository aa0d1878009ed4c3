"""Speed, quality and memory beside other engines: python -m benchmarks setup, run, report.

`setup` makes an environment for each contender and converts the checkpoint for it; `run`
measures those that are set up; `report` writes the tables of what was measured.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmarks import ROOT, contenders
from benchmarks.bench import Bench
from benchmarks.environments import HOME, Note, read_note, set_up_all
from benchmarks.machine import limit_cpus
from benchmarks.measurements import record_setup
from benchmarks.publish import publish
from benchmarks.records import open_records, read_lines
from benchmarks.report import report
from benchmarks.runner import run, steps
from benchmarks.workloads import choose, choose_quick, read_corpus, with_tokens
from minilm_onnx import InputError
from minilm_onnx.cli import report_errors

QUICK_TEXTS = 300
QUICK_CHECKS = 40
QUICK_SECONDS = 1.0


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
    setting.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help="contenders, beside this project and the reference; default: all",
    )
    setting.add_argument("--checkpoint", type=Path, required=True, metavar="DIR")
    setting.add_argument("--home", **home)
    setting.add_argument("--lock", **lock)

    running = commands.add_parser("run", help="measure, or go on with what was interrupted")
    running.add_argument(
        "--corpus",
        type=Path,
        metavar="FILE",
        help="JSON lines with a text each; default: 2,000 made-up texts as long as real ones",
    )
    running.add_argument("--out", type=Path, required=True, help="raw results, JSON lines")
    running.add_argument("--only", nargs="+", metavar="NAME", help="contenders; default: all")
    running.add_argument("--limit", type=int, metavar="N", help="the corpus's first N texts")
    running.add_argument("--rounds", type=int, default=5, metavar="N", help="default %(default)s")
    running.add_argument("--threads", type=int, default=2, metavar="N", help="default %(default)s")
    running.add_argument(
        "--seconds",
        type=float,
        default=8.0,
        metavar="S",
        help="longest measurement over the corpus, others get a third: slower contenders are "
        "given a share of the texts, which the report says; default %(default)s",
    )
    running.add_argument(
        "--quick",
        action="store_true",
        help="two minutes: one round, few texts, no sweep of batch settings, no cold start",
    )
    running.add_argument("--home", **home)
    running.add_argument("--lock", **lock)

    reporting = commands.add_parser("report", help="print the tables")
    reporting.add_argument("files", nargs="+", type=Path, metavar="FILE", help="raw results")
    reporting.add_argument(
        "--publish",
        action="store_true",
        help="write them, the plots and what `minilm-onnx bench` compares with into the project",
    )
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
        names = list(dict.fromkeys([*names, *contenders.NEEDED]))
        return 0 if set_up_all(names, options.home, options.checkpoint, options.lock) else 1
    if options.command == "report":
        lines = [line for path in options.files for line in read_lines(path)]
        if not lines:
            raise InputError(f"{options.files[0]}: expected results, got none; see run --help")
        if options.publish:
            publish(lines, ROOT)
        else:
            print(report(lines))
        return 0
    measure(options, names)
    return 0


def measure(options: argparse.Namespace, names: list[str]) -> None:
    """Run the contenders that are set up.

    Raises:
        InputError: nothing is set up, or the corpus cannot be read.
    """
    home, quick = options.home.resolve(), options.quick
    notes = {
        name: read_note(home, name) or Note(name, [], "setup", "not tried")
        for name in dict.fromkeys([*contenders.NEEDED, *names])
    }
    missing = [name for name, note in notes.items() if note.step != "ready"]
    needed = sorted(set(contenders.NEEDED) & set(missing))
    if needed:
        raise InputError(f"{home}: expected {', '.join(needed)} set up; see setup --help")
    for name in missing:
        print(f"{name} is not set up: left out", file=sys.stderr)
    ready = [name for name in names if name not in missing]
    limit_cpus(options.threads)
    limit = QUICK_TEXTS if quick and options.limit is None else options.limit
    rounds = 1 if quick else options.rounds
    corpus = read_corpus(options.corpus, limit)
    workloads = choose_quick(corpus.texts) if quick else choose(corpus.texts)
    checks = with_tokens("checks", corpus.checks)
    checks = checks.share(QUICK_CHECKS) if quick else checks
    records = open_records(options.out, ROOT, corpus, options.threads, quick=quick)
    total = steps(ready, workloads, rounds, quick=quick)
    with (
        tempfile.TemporaryDirectory() as scratch,
        tqdm(total=total, desc="benchmarks", dynamic_ncols=True) as bar,
    ):
        bench = Bench(
            home,
            records,
            options.threads,
            workloads,
            min(options.seconds, QUICK_SECONDS) if quick else options.seconds,
            quick,
            options.lock,
            Path(scratch),
            bar,
        )
        for name in names:
            record_setup(bench, notes[name])
        run(bench, ready, checks, rounds)


if __name__ == "__main__":
    sys.exit(report_errors(main, sys.argv[1:]))
