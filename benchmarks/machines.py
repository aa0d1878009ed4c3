"""Results that people sent in, side by side: python -m benchmarks.machines.

Checks every file in benchmarks/results/machines, each of which `minilm-onnx bench --json` wrote,
and draws their tables in docs/machines.md.
"""

import argparse
import json
import math
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import ROOT
from benchmarks.contenders import OURS
from benchmarks.publish import filled, write_whole
from benchmarks.quality_tables import table as words_table
from benchmarks.report import (
    Line,
    fastest,
    figure,
    latest,
    of,
    peak_rss,
    shares,
    table,
    texts_per_second,
    value,
)
from minilm_onnx import InputError
from minilm_onnx.cli import report_errors
from minilm_onnx.cli.bench import FORMAT
from minilm_onnx.cli.options import counted
from minilm_onnx.errors import shown

RESULTS = ROOT / "benchmarks" / "results"
FOLDER = RESULTS / "machines"
PUBLISHED = RESULTS / "epyc-2-cores.jsonl"
DOCUMENT = ROOT / "docs" / "machines.md"
MARKER = "machines"
# The folder's own page.
EXPLAINED = "README.md"
NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*\.json")
# sha256 of the bundled model's model.onnx. Where a model is made again that is as much to compute,
# its sum is added here, and results of the one before stay.
GRAPHS = ("6eac0a4d941efb4bd1d82a18f0147a591d57e00c3ca941bc5432e6cbd752bd29",)
# Tokens of the single texts whose times are shown.
LENGTHS = ("8", "128")
# What a result has to have, by path.
WORDS = (
    *("date", "cpu", "system", "machine", "python", "native.kernel"),
    *("versions.minilm-onnx", "versions.onnxruntime"),
)
NUMBERS = (
    *("cpus", "policy.threads", "load_ms", "peak_rss_mib", "ceiling.tokens_per_second"),
    *("bulk.texts_per_second", "bulk.tokens_per_second"),
    *(f"latency_ms.{length}.median" for length in LENGTHS),
)
# Of the CPUs. Two runs on an idle machine differ by 4 to 7 % anyway.
MOST_OF_OTHERS = 0.1
# There may be no native library, and Windows does not tell the peak.
NULL_TOO = ("native.kernel", "peak_rss_mib")
SPEEDS = (
    *("machine", "kernel", "threads", "texts/s", "tokens/s", "relative speed"),
    *(f"{length} tokens, ms" for length in LENGTHS),
    *("load, ms", "peak memory, MiB", "share of maximum"),
)
MACHINES = ("machine", "CPU", "CPUs", "system", "Python", "minilm-onnx", "onnxruntime", "date")
NONE_YET = (
    "**No other machine has been measured yet.** The only row is the published run. For the "
    "Raspberry Pi there are [estimates](#estimates-not-measurements)."
)


def read(path: Path) -> dict[str, Any]:
    """Read a result.

    Raises:
        InputError: it is not what `minilm-onnx bench --json` writes, of this format, and of the
            bundled model; or its name is not by the convention.
    """
    if not NAME.fullmatch(path.name):
        raise InputError(
            f"{path.name}: expected a name of small letters, digits and hyphens, such as "
            "raspberry-pi-5.json; rename it"
        )
    try:
        facts = json.loads(path.read_bytes())  # UTF-16 too, as a PowerShell writes
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{path.name}: expected what `minilm-onnx bench --json` prints, got {error}; send that"
        ) from error
    if not isinstance(facts, dict) or "format" not in facts:
        raise InputError(
            f"{path.name}: expected what `minilm-onnx bench --json` prints, with its format, got "
            f"{shown(facts)}; measure with the newest version"
        )
    if facts["format"] != FORMAT:
        raise InputError(
            f"{path.name}: expected format {FORMAT}, got {shown(facts['format'])}; measure with "
            "the newest version"
        )
    if facts.get("graph") not in GRAPHS:
        raise InputError(
            f"{path.name}: expected a result of the bundled model, whose graph is "
            f"{GRAPHS[-1][:16]}..., got {shown(facts.get('graph'))}; measure without --model"
        )
    for key in (*WORDS, *NUMBERS):
        check(path.name, facts, key)
    others = facts.get("others")
    share = others.get("cpu_share") if isinstance(others, dict) else None
    if isinstance(share, float) and share > MOST_OF_OTHERS:
        raise InputError(
            f"{path.name}: expected a machine that did nothing else, got {share:.0%} of its CPUs "
            "at other work; close other programs and measure again"
        )
    return facts


def check(name: str, facts: dict[str, Any], key: str) -> None:
    """Raise InputError unless a result has a key, with a value of its kind."""
    found: Any = facts
    for word in key.split("."):
        if not isinstance(found, dict) or word not in found:
            raise InputError(f"{name}: expected the key {key}, got none; send it unchanged")
        found = found[word]
    if found is None and key in NULL_TOO:
        return
    if key in WORDS:
        right, kind = isinstance(found, str) and found.strip() != "", "text"
    else:
        number = isinstance(found, int | float) and not isinstance(found, bool)
        right, kind = number and 0 < found < math.inf, "a positive number"
    if not right:
        raise InputError(f"{name}: {key}: expected {kind}, got {shown(found)}; send it unchanged")


def read_all(folder: Path) -> dict[str, dict[str, Any]]:
    """Read every result, by the name of its machine.

    Raises:
        InputError: one is wrong; see `read`.
    """
    hidden = (path for path in folder.iterdir() if not path.name.startswith("."))
    paths = sorted(path for path in hidden if path.name != EXPLAINED)
    return {path.stem: read(path) for path in paths}


def tables(found: dict[str, dict[str, Any]], published: Sequence[Line]) -> str:
    """Write the tables: how fast, and what the machines are.

    Args:
        found: results by machine.
        published: lines of the published run.
    """
    lines = latest(published)
    base = fastest(lines, OURS)
    by_speed = sorted(found, key=lambda name: -found[name]["bulk"]["tokens_per_second"])
    speeds = [published_speeds(lines), *(speeds_of(name, found[name], base) for name in by_speed)]
    about = [published_machine(lines), *(machine_of(name, found[name]) for name in by_speed)]
    said = f"{counted(len(found), 'machine')}, the fastest first, below the published run."
    return "\n\n".join(
        [said if found else NONE_YET, table(SPEEDS, speeds), words_table(MACHINES, about)]
    )


def speeds_of(name: str, facts: dict[str, Any], base: float) -> list[str]:
    """Give a machine's row of figures; `base` is the published run's tokens a second."""
    bulk, most = facts["bulk"], facts["ceiling"]["tokens_per_second"]
    return [
        name,
        cell(facts["native"]["kernel"] or "onnxruntime's"),
        str(facts["policy"]["threads"]),
        figure(bulk["texts_per_second"], "{:,.0f}"),
        figure(bulk["tokens_per_second"], "{:,.0f}"),
        figure(bulk["tokens_per_second"] / base, "{:.2f}"),
        *(figure(facts["latency_ms"][length]["median"], "{:.2f}") for length in LENGTHS),
        figure(facts["load_ms"]),
        figure(facts["peak_rss_mib"]),
        figure(bulk["tokens_per_second"] / most, "{:.0%}"),
    ]


def machine_of(name: str, facts: dict[str, Any]) -> list[str]:
    """Say what a machine is."""
    words = (
        facts["cpu"],
        str(facts["cpus"]),
        f"{facts['system']} {facts['machine']}",
        facts["python"],
        facts["versions"]["minilm-onnx"],
        facts["versions"]["onnxruntime"],
        facts["date"],
    )
    return [name, *map(cell, words)]


def published_speeds(lines: Sequence[Line]) -> list[str]:
    """Give the published run's row: it timed other single texts, and did not note its kernel."""
    return [
        "published run",
        "-",
        str(lines[0]["threads"]),
        figure(median(texts_per_second(lines, OURS)), "{:,.0f}"),
        figure(fastest(lines, OURS), "{:,.0f}"),
        "1.00",
        *("-" for _ in LENGTHS),
        figure(value(of(lines, OURS, "cold"), "load_ms")),
        figure(peak_rss(lines, OURS)),
        figure(median(shares(lines, OURS)), "{:.0%}"),
    ]


def published_machine(lines: Sequence[Line]) -> list[str]:
    """Say what the published run's machine is."""
    (line, *_) = of(lines, OURS, "corpus")
    versions = line["versions"]
    words = (
        *(line["cpu"], str(line["cpus"]), "Linux x86_64", versions["python"]),
        *(versions["minilm-onnx"], versions["onnxruntime"], line["time"][:10]),
    )
    return ["published run", *map(cell, words)]


def cell(text: str) -> str:
    """Give text that cannot break a table, or be a link or a picture: others write it."""
    return re.sub(r"[\\`*\[\]<>|&]", r"\\\g<0>", " ".join(text.split()))


def render() -> str:
    """Give the page, with its tables drawn anew.

    Raises:
        InputError: a result is wrong; see `read`.
    """
    published = [json.loads(line) for line in PUBLISHED.read_text("utf-8").splitlines()]
    said = tables(read_all(FOLDER), published)
    return filled(DOCUMENT.read_text("utf-8"), MARKER, said)


def main(arguments: list[str]) -> int:
    """Check the results, and write the page."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.machines",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.parse_args(arguments)
    write_whole(DOCUMENT, render())
    return 0


if __name__ == "__main__":
    sys.exit(report_errors(main, sys.argv[1:]))
