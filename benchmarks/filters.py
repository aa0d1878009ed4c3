"""How long filtered searches take, by passages and storage: python -m benchmarks.filters --out F.

Indexes of random vectors around random centres, seeded, with metadata, are searched in a fresh
process each, without the model, whose query takes some milliseconds more. What F has of other sizes
is kept, so that these may be measured at another time. --publish writes docs/outgrow.md.

The times that are published are those of the CPU: a search is one thread over pages in memory, so
they are what a clock says on an idle machine, and near it on a busy one. The clock's are kept, too.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np

from benchmarks import ROOT
from benchmarks.machine import commit
from benchmarks.publish import fill_page, write_whole
from minilm_onnx import InputError, SentenceEncoder
from minilm_onnx.arrays import FloatArray
from minilm_onnx.cli import report_errors
from minilm_onnx.engine.cpus import cpu_name
from minilm_onnx.index.filterparsing import parse_filter
from minilm_onnx.index.ranking import nearest
from minilm_onnx.index.schema import read_facts
from minilm_onnx.index.scope import scope_of
from minilm_onnx.index.storage import Storage, stored, typed
from minilm_onnx.index.store import Store
from minilm_onnx.index.textindex import TextIndex
from minilm_onnx.index.words import write_words
from minilm_onnx.measure.memory import peak_rss_mib
from minilm_onnx.reading.metadata import readings, values_of
from minilm_onnx.vectors.pooling import l2_normalize

SIZES = (10_000, 100_000, 1_000_000)
STORAGES: tuple[Storage, ...] = get_args(Storage)
DIMENSION, CENTRES = 384, 1000
IN_A_SOURCE = 10_000
TOP = 10
ROUNDS = 7
# What of all passages matches: all, half, a hundredth, a ten thousandth.
FILTERS = {"none": None, "1/2": "half = 1", "1/100": "percent = 7", "1/10,000": "rare = 7"}
# Where people begin to wait.
LONG_MS = 100
DOCUMENT = ROOT / "docs" / "outgrow.md"


def vectors(count: int, seed: int) -> FloatArray:
    """Give unit rows around centres that are always the same, (count, 384) float32."""
    centres = np.random.default_rng(0).standard_normal((CENTRES, DIMENSION), dtype=np.float32)
    random = np.random.default_rng(seed)
    noise = random.standard_normal((count, DIMENSION), dtype=np.float32)
    return l2_normalize(centres[random.integers(0, CENTRES, count)] + noise)


def build(path: Path, encoder: SentenceEncoder, storage: Storage, count: int) -> None:
    """Make an index as TextIndex does, but with all passages of a source at once."""
    with TextIndex(path, encoder, storage=storage) as index:
        terms: dict[tuple[str, str], int] = {}
        vector = typed("?", storage)
        for first in range(1, count + 1, IN_A_SOURCE):
            numbers = range(first, min(first + IN_A_SOURCE, count + 1))
            kept = stored(vectors(len(numbers), first), storage)
            described = {number: metadata(number) for number in numbers}
            pairs = [
                (terms.setdefault((name, value), len(terms) + 1), number)
                for number in numbers
                for name, values in values_of(described[number]).items()
                for value in values
            ]
            with index._store.writing() as connection:
                row = (first, f"{first}", b"", "")
                connection.execute(
                    "INSERT INTO sources (id, name, digest, note) VALUES (?, ?, ?, ?)", row
                )
                connection.executemany(
                    "INSERT INTO passages VALUES (?, ?, '', ?, 1, 1, ?, ?, ?)",
                    [
                        (number, first, f"passage {number}", bytes(16), codes, number)
                        for number, (_, codes) in zip(numbers, kept, strict=True)
                    ],
                )
                connection.executemany(
                    f"INSERT INTO vectors (rowid, vector) VALUES (?, {vector})",
                    [(number, one) for number, (one, _) in zip(numbers, kept, strict=True)],
                )
                connection.executemany(
                    "INSERT INTO documents VALUES (?, ?, ?)",
                    [(number, first, json.dumps(described[number])) for number in numbers],
                )
                connection.executemany("INSERT INTO postings VALUES (?, ?)", sorted(pairs))
                write_words(connection, "source = ?", first)
        with index._store.writing() as connection:
            connection.executemany(
                "INSERT INTO terms VALUES (?, ?, ?, ?, ?)",
                [(number, *term, *readings(term[1])) for term, number in terms.items()],
            )


def metadata(number: int) -> dict[str, Any]:
    """Give what a passage says of itself: three numbers and a date."""
    return {
        "half": number % 2,
        "percent": number % 100,
        "rare": number % 10_000,
        "day": str(np.datetime64("2020-01-01") + number % 2000),
    }


def search(path: Path) -> dict[str, Any]:
    """Time searches in this process; the first round, which fills caches, does not count."""
    clocks = {"cpu_ms": time.process_time, "wall_ms": time.perf_counter}
    store = Store(path, create=False)
    queries = vectors(ROUNDS + 1, 0)
    times: dict[str, dict[str, list[float]]] = {
        clock: {name: [] for name in FILTERS} for clock in clocks
    }
    with store.reading() as connection:
        facts = read_facts(connection)
        if facts is None:
            raise InputError(f"{path}: expected an index, got an empty file; build one")
        for query in queries:
            for name, text in FILTERS.items():
                starts = {clock: read() for clock, read in clocks.items()}
                wanted = None if text is None else parse_filter(text)
                scope = scope_of(connection, (), wanted)
                nearest(connection, facts, query, TOP, scope)
                for clock, read in clocks.items():
                    times[clock][name].append(1000 * (read() - starts[clock]))
    store.close()
    after_first = {
        clock: {name: some[1:] for name, some in one.items()} for clock, one in times.items()
    }
    return {**after_first, "peak_rss_mib": peak_rss_mib()}


def measure(scratch: Path, sizes: Sequence[int]) -> Iterator[dict[str, Any]]:
    """Measure every size and storage, one after the other."""
    encoder = SentenceEncoder()
    path, code = scratch / "passages.db", commit(ROOT)
    for count in sizes:
        for storage in STORAGES:
            build(path, encoder, storage, count)
            command = [sys.executable, "-m", "benchmarks.filters", "--search", str(path)]
            load = os.getloadavg()[0]
            said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            yield {
                "passages": count,
                "storage": storage,
                "commit": code,
                "cpu": cpu_name(),
                "cpus": os.cpu_count(),
                "load_average": load,
                "file_mib": path.stat().st_size / 2**20,
                **json.loads(said),
            }
            path.unlink()


def joined(rows: Sequence[dict[str, Any]], new: dict[str, Any]) -> list[dict[str, Any]]:
    """Put a row in the place of the one of its size and storage, in order of both."""

    def place(row: dict[str, Any]) -> tuple[int, int]:
        return row["passages"], STORAGES.index(row["storage"])

    return sorted([*(row for row in rows if place(row) != place(new)), new], key=place)


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Give the figures in words and as a table."""
    cpus = " and ".join(dict.fromkeys(f"{row['cpu']}, {row['cpus']} CPUs" for row in rows))
    loads = [row["load_average"] for row in rows]
    lines = [
        f"Milliseconds of CPU time of a search for the {TOP} nearest, medians of {ROUNDS}, by the "
        "share of the passages that match the filter. A search is one thread, so an idle machine "
        f"answers in this time. Measured on {cpus}, at a load average of {min(loads):.0f} to "
        f"{max(loads):.0f}; other programs at work make these times longer.",
        "",
        "| passages | storage | no filter | 1 in 2 | 1 in 100 | 1 in 10,000 | file, MiB "
        "| memory, MiB |",
        f"| ---: | --- |{' ---: |' * (len(FILTERS) + 2)}",
    ]
    for row in rows:
        times = " | ".join(_short(statistics.median(row["cpu_ms"][name])) for name in FILTERS)
        lines.append(
            f"| {row['passages']:,} | {row['storage']} | {times} | {row['file_mib']:,.0f} | "
            f"{row['peak_rss_mib']:.0f} |"
        )
    measured = {row["passages"] for row in rows}
    missing = [f"{count:,}" for count in SIZES if count not in measured]
    if missing:
        lines += ["", f"Not measured yet: {', '.join(missing)} passages (`--sizes` adds them)."]
    return "\n".join([*lines, *_reach(rows)])


def _reach(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Say up to how many passages a search is short, by a line through two times a storage."""
    first, last = rows[0]["passages"], rows[-1]["passages"]
    if first == last:
        return []
    said = []
    for storage in STORAGES:
        few, many = (
            statistics.median(row["cpu_ms"]["none"])
            for count in (first, last)
            for row in rows
            if (row["passages"], row["storage"]) == (count, storage)
        )
        count = first + (LONG_MS - few) * (last - first) / (many - few)
        said.append(f"{_rounded(count):,} passages as {storage}")
    return [
        "",
        f"So a search without a filter takes less than {LONG_MS} ms up to about {', '.join(said)} "
        f"(on a straight line through the times for {first:,} and {last:,}).",
    ]


def _short(ms: float) -> str:
    return f"{ms:.1f}" if ms < 10 else f"{ms:,.0f}"


def _rounded(count: float) -> int:
    """Give a number with two digits that say something."""
    return int(float(f"{count:.1e}"))


def main(arguments: list[str]) -> int:
    """Measure, and write what was found."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.filters", description=__doc__)
    parser.add_argument("--out", type=Path, metavar="FILE", help="results, as JSON")
    parser.add_argument("--scratch", type=Path, metavar="DIR", help="where 3 GB are free")
    parser.add_argument("--sizes", type=int, nargs="*", default=SIZES, metavar="N")
    parser.add_argument("--publish", action="store_true", help="write docs/outgrow.md")
    parser.add_argument("--search", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.search:
        print(json.dumps(search(options.search)))
        return 0
    if not options.out:
        raise InputError("--out: expected a file for the results, got none; name one")
    rows = json.loads(options.out.read_text("utf-8")) if options.out.exists() else []
    with tempfile.TemporaryDirectory(dir=options.scratch) as name:
        for row in measure(Path(name), options.sizes):
            print(json.dumps(row), file=sys.stderr, flush=True)
            rows = joined(rows, row)
            write_whole(options.out, json.dumps(rows, indent=2) + "\n")
    if not rows:
        raise InputError(f"--sizes: expected numbers, got none and no rows in {options.out}")
    if options.publish:
        fill_page(DOCUMENT, {"filters": table(rows)})
    print(table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(report_errors(main, sys.argv[1:]))
