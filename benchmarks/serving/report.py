"""Tables of servers under load."""

import statistics
from collections.abc import Sequence
from typing import Any

from benchmarks import ROOT
from benchmarks.publish import fill_page
from benchmarks.serving.servers import SERVERS

DOCUMENT = ROOT / "docs" / "server.md"
Line = dict[str, Any]
# With more refusals than this, latencies say how fast a server refuses.
MOST_REFUSED = 0.01
# Where servers are compared in a sentence.
COMPARED = 64


def report(lines: Sequence[Line]) -> str:
    """Give a table for each kind of request, and what is to be read in them."""
    parts = []
    for words, texts in sorted({(line["words"], line["texts"]) for line in lines}):
        these = [line for line in lines if (line["words"], line["texts"]) == (words, texts)]
        counts = sorted({line["connections"] for line in these})
        what = f"a text of {words} words" if texts == 1 else f"{texts} texts of {words} words"
        parts.append(f"Each request {what}:")
        rows = [
            "| server | " + " | ".join(f"{count} conn." for count in counts) + " |",
            "| --- |" + " ---: |" * len(counts),
        ]
        for name in _names(these):
            cells = [_cell([line for line in these if _is(line, name, count)]) for count in counts]
            rows.append(f"| {SERVERS[name].title} | " + " | ".join(cells) + " |")
        parts.append("\n".join(rows))
        parts.append(_compared(these))
    parts.append(_memory(lines))
    return "\n\n".join(part for part in parts if part)


def publish(lines: Sequence[Line]) -> None:
    """Write the tables into docs/server.md."""
    first = lines[0]
    said = (
        f"On {first['cpu']}, {first['threads']} cores that the servers share with wrk, medians of "
        f"{len({line['round'] for line in lines})} rounds in turns: requests a second, and in "
        "brackets the median and the 99th percentile of milliseconds."
    )
    fill_page(DOCUMENT, {"serving": f"{said}\n\n{report(lines)}"})


def _names(lines: Sequence[Line]) -> list[str]:
    found = {line["server"] for line in lines}
    return [name for name in SERVERS if name in found]


def _is(line: Line, name: str, connections: int) -> bool:
    return bool(line["server"] == name and line["connections"] == connections)


def _rate(line: Line) -> float:
    """Answers a second; what was refused is none."""
    return float((line["requests"] - line["refused"]) / line["seconds"])


def _median(lines: Sequence[Line], name: str) -> float:
    return float(statistics.median(line[name] for line in lines))


def _cell(lines: Sequence[Line]) -> str:
    if not lines:
        return "-"
    rate = statistics.median(map(_rate, lines))
    if not rate:
        return "none answered"
    shown = f"{rate:.0f}" if rate >= 20 else f"{rate:.2g}"
    refused = sum(line["refused"] for line in lines) / sum(line["requests"] for line in lines)
    if refused > MOST_REFUSED:
        return f"{shown} (others refused)"
    return f"{shown} ({_ms(_median(lines, 'p50_ms'))}, {_ms(_median(lines, 'p99_ms'))})"


def _ms(value: float) -> str:
    return f"{value:.1f}" if value < 20 else f"{value:.0f}"


def _compared(lines: Sequence[Line]) -> str:
    """Say how this project's server stands to the next best."""
    rates = {
        name: statistics.median(_rate(line) for line in lines if _is(line, name, COMPARED))
        for name in _names(lines)
    }
    own = rates.pop("minilm_onnx", 0.0)
    best = max(rates, key=lambda name: rates[name], default="")
    if not own or not best or not rates[best]:
        return ""
    spread = [
        f"{_median(these, 'p99_ms') / _median(these, 'p50_ms'):.1f} at {count}"
        for count in sorted({line["connections"] for line in lines})
        if (these := [line for line in lines if _is(line, "minilm_onnx", count)])
    ]
    return (
        f"At {COMPARED} connections, minilm-onnx answers {own / rates[best]:.1f} times as many "
        f"requests as {SERVERS[best].title}. Its 99th percentile, divided by its median, is "
        f"{', '.join(spread)} connections."
    )


def _memory(lines: Sequence[Line]) -> str:
    rows = []
    for name in _names(lines):
        these = [line for line in lines if line["server"] == name]
        most = max(line["memory_mib"] for line in these)
        cosine = these[0]["cosine"]
        rows.append(
            f"| {SERVERS[name].title} | {most:.0f} | {cosine['mean']:.4f} / {cosine['min']:.4f} |"
        )
    head = [
        "| server | peak memory, MiB | cosine to sentence-transformers fp32, mean / minimum |",
        "| --- | ---: | --- |",
    ]
    return "\n".join([*head, *rows])
