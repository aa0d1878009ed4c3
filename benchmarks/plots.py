"""The plots of a run, as SVG: speed and quality, latency against request size, memory.

Each has one file for light and dark: its colours are those of the server's page, and a style sheet
in it names the dark ones for a reader whose system is dark.
"""

from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks.contenders import OURS
from benchmarks.report import (
    NAMES,
    Line,
    by_speed,
    call_ms,
    mean_cosine,
    of,
    on_disk,
    peak_rss,
    texts_per_second,
)
from minilm_onnx.cli.palette import INK, KEY, OTHER, PALE, RULE, with_dark

STYLE: dict[Any, Any] = {  # keys that matplotlib has a type of its own for
    # One run, one picture: no date, no random identifiers; text stays text.
    "svg.hashsalt": OURS,
    "svg.fonttype": "none",
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": RULE,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": RULE,
    "legend.frameon": False,
}
SIZES = {"request_1": 1, "request_8": 8, "request_32": 32}
# Lines that can be told apart; more of them cannot.
MOST_LINES = 6
MARKERS = "osD^vP"


def draw_all(lines: Sequence[Line], folder: Path) -> None:
    """Write speed.svg, latency.svg and memory.svg."""
    for name, draw in (("speed", speed), ("latency", latency), ("memory", memory)):
        with mpl.rc_context(STYLE):
            picture = Figure(figsize=(8, 4.5), layout="constrained")
            draw(lines, picture.subplots())
            part = folder / f"{name}.svg.part"
            picture.savefig(part, format="svg", transparent=True, metadata={"Date": None})
        part.write_text(with_dark(part.read_text("utf-8")), "utf-8")
        part.rename(folder / f"{name}.svg")


def colour(name: str) -> str:
    """Make this project stand out."""
    return KEY if name == OURS else OTHER


def name_rows(axes: Any, names: Sequence[str]) -> None:
    """Name the rows of a bar chart, the first at the top."""
    axes.set_yticks(range(len(names)), [NAMES.get(name, name) for name in names])
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(visible=True, axis="x", lw=0.5)
    axes.set_axisbelow(True)


def speed(lines: Sequence[Line], axes: Any) -> None:
    """Draw texts a second, and write how near the vectors are beside each bar."""
    speeds = {
        name: median(texts_per_second(lines, name))
        for name in by_speed(lines)
        if of(lines, name, "corpus")
    }
    for place, (name, texts) in enumerate(speeds.items()):
        axes.barh(place, texts, 0.66, color=colour(name))
        axes.annotate(
            f"{texts:.0f}  ({mean_cosine(lines, name)})",
            (texts, place),
            (5, 0),
            textcoords="offset points",
            va="center",
        )
    name_rows(axes, list(speeds))
    axes.set_xlim(0, 1.25 * max(speeds.values()))
    axes.set_xlabel("texts per second, longer is faster (mean cosine to fp32, at most 1)")


def latency(lines: Sequence[Line], axes: Any) -> None:
    """Draw the median latency of requests of 1, 8 and 32 texts, of the fastest engines."""
    for name, marker in zip(by_speed(lines)[:MOST_LINES], MARKERS, strict=False):
        times = {size: call_ms(lines, name, workload) for workload, size in SIZES.items()}
        known = {size: ms for size, ms in times.items() if ms is not None}
        ours = name == OURS
        axes.plot(
            list(known),
            list(known.values()),
            marker=marker,
            color=colour(name),
            lw=2.5 if ours else 1,
            label=NAMES.get(name, name),
            zorder=3 if ours else 2,
        )
    axes.set(xscale="log", yscale="log", xlabel="texts per request", ylabel="median ms per request")
    axes.set_xticks(list(SIZES.values()), [str(size) for size in SIZES.values()])
    ticks = (2, 5, 10, 20, 50, 100, 200)
    axes.set_yticks(ticks, [str(tick) for tick in ticks])
    axes.minorticks_off()
    axes.grid(visible=True, lw=0.5)
    axes.legend(loc="upper left")


def memory(lines: Sequence[Line], axes: Any) -> None:
    """Draw what each takes at its peak, and on disk."""
    peaks = {name: peak_rss(lines, name) or 0.0 for name in by_speed(lines)}
    names = sorted(peaks, key=lambda name: peaks[name])
    for place, name in enumerate(names):
        axes.barh(place - 0.19, peaks[name], 0.36, color=colour(name))
        axes.barh(place + 0.19, on_disk(lines, name) or 0.0, 0.36, color=PALE)
    name_rows(axes, names)
    axes.set_xlabel("MiB: upper bar peak memory, lower bar packages and model on disk")
