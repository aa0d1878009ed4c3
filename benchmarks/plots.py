"""The plots of a run, as SVG: speed against quality, latency against request size, memory."""

from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib as mpl
from adjustText import adjust_text
from matplotlib.figure import Figure

from benchmarks.contenders import OURS
from benchmarks.report import Line, by_speed, call_ms, of, texts_per_second, value

# One run, one picture: no date, no random identifiers; text stays text.
mpl.rcParams["svg.hashsalt"] = OURS
mpl.rcParams["svg.fonttype"] = "none"
MARK, PALE, BAR = "#c0392b", "#8aa4b8", "#34607f"
# Cosines nearer to 1 than this are float32 noise.
LEAST_ERROR = 1e-6
SIZES = {"request_1": 1, "request_8": 8, "request_32": 32}


def draw_all(lines: Sequence[Line], folder: Path) -> None:
    """Write speed.svg, latency.svg and memory.svg."""
    for name, draw in (("speed", speed), ("latency", latency), ("memory", memory)):
        picture = Figure(figsize=(8, 5), layout="constrained")
        draw(lines, picture.subplots())
        part = folder / f"{name}.svg.part"
        picture.savefig(part, format="svg", metadata={"Date": None})
        part.rename(folder / f"{name}.svg")


def colour(name: str) -> str:
    """Make this project stand out."""
    return MARK if name == OURS else BAR


def speed(lines: Sequence[Line], axes: Any) -> None:
    """Place contenders by texts a second and by how far their vectors are off."""
    labels = []
    for name in by_speed(lines):
        cosine = value(of(lines, name, "vectors"), "cosine_mean")
        if cosine is None or not of(lines, name, "corpus"):
            continue
        place = median(texts_per_second(lines, name)), max(LEAST_ERROR, 1 - cosine)
        axes.scatter(*place, color=colour(name), s=70 if name == OURS else 40, zorder=3)
        labels.append(axes.text(*place, name, color=colour(name), fontsize=9))
    # Room for names above the exact ones and beside the fastest.
    axes.set(xscale="log", yscale="log", xlim=(15, 700), ylim=(3e-2, 1e-7))
    ticks = (20, 50, 100, 200, 400)
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel("texts a second over the corpus: faster to the right")
    axes.set_ylabel("1 - mean cosine to fp32: nearer to the top")
    axes.grid(visible=True, which="major", color="#dddddd")
    adjust_text(
        labels, ax=axes, expand=(1.2, 2.0), arrowprops={"arrowstyle": "-", "color": PALE, "lw": 0.5}
    )


def latency(lines: Sequence[Line], axes: Any) -> None:
    """Draw the median latency of requests of 1, 8 and 32 texts."""
    for number, name in enumerate(by_speed(lines)):
        times = {size: call_ms(lines, name, workload) for workload, size in SIZES.items()}
        known = {size: ms for size, ms in times.items() if ms is not None}
        look: dict[str, Any] = {"color": MARK, "lw": 3, "zorder": 4} if name == OURS else {}
        style = ("-", "--", ":")[number // 6 % 3]
        axes.plot(list(known), list(known.values()), marker="o", ls=style, label=name, **look)
    axes.set(xscale="log", yscale="log", xlabel="texts in a request", ylabel="median ms a request")
    axes.set_xticks(list(SIZES.values()), [str(size) for size in SIZES.values()])
    axes.minorticks_off()
    axes.grid(visible=True, color="#dddddd")
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))


def memory(lines: Sequence[Line], axes: Any) -> None:
    """Draw what each takes at its peak, and on disk."""
    names = sorted(
        by_speed(lines), key=lambda name: value(of(lines, name, "memory"), "peak_rss_mib") or 0.0
    )
    for place, name in enumerate(names[::-1]):
        peak = value(of(lines, name, "memory"), "peak_rss_mib") or 0.0
        disk = sum(
            value(of(lines, name, "setup"), key) or 0.0 for key in ("installed_mib", "model_mib")
        )
        axes.barh(place + 0.2, peak, 0.38, color=colour(name))
        axes.barh(place - 0.2, disk, 0.38, color=PALE)
    axes.set_yticks(range(len(names)), names[::-1])
    axes.set_xlabel("MiB: dark, memory at the peak; pale, packages and model on disk")
    axes.grid(visible=True, axis="x", color="#dddddd")
