"""A picture of who is like whom: PNG or SVG by matplotlib, or a page of HTML that needs nothing."""

import html
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from minilm_onnx.arrays import FloatArray
from minilm_onnx.cli.options import is_harmless
from minilm_onnx.errors import InputError, installing

SUFFIXES = (".png", ".svg", ".html")
# Beyond this a cell has no room for its figure, and beyond that the picture none for its texts.
MOST_FIGURES, MOST_TEXTS = 15, 200
LABEL = 40
# Inches of all cells side by side.
LARGEST = 20
PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Similarity</title>
<style>
body {{ font: 14px sans-serif; margin: 2em; background: #fff; color: #222 }}
table {{ border-collapse: collapse }}
th {{ font-weight: normal; text-align: left; padding: 2px 8px; white-space: nowrap }}
thead th {{ writing-mode: sideways-lr; vertical-align: bottom; padding: 8px 2px }}
td {{ min-width: 2.6em; height: 2.2em; text-align: center }}
</style>
<table><caption>Cosine similarity</caption>
<thead><tr><th></th>{columns}</tr></thead>
<tbody>
{rows}
</tbody></table></html>
"""


def check_suffix(path: Path) -> None:
    """Raise InputError if a picture cannot be of that kind, or matplotlib is missing for it."""
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError(
            f"--heatmap {path}: expected a suffix {', '.join(SUFFIXES)}, got {path.suffix!r}; "
            "rename it"
        )
    if suffix == ".html":
        return
    try:
        import matplotlib as _  # noqa: F401  asked before anything is embedded
    except ImportError as error:
        raise InputError(
            f"--heatmap {path}: expected matplotlib, which is not installed; "
            f"{installing('plots')}, or choose .html"
        ) from error


def draw(file: BinaryIO, kind: str, texts: Sequence[str], cosines: FloatArray) -> None:
    """Draw how alike texts are.

    Args:
        file: where to.
        kind: one of SUFFIXES.
        texts: N texts.
        cosines: (N, N) float32.
    """
    labels = [_label(text) for text in texts]
    if kind == ".html":
        file.write(_page(texts, labels, cosines).encode())
        return
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    cell = min(0.45, LARGEST / len(texts))  # inches
    size = 2.5 + cell * len(texts)
    figure = Figure(figsize=(size + 3, size), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    image = axes.imshow(cosines, cmap="viridis", vmin=0, vmax=1)
    figure.colorbar(image, label="cosine similarity", shrink=0.7)
    places = range(len(texts))
    axes.set_xticks(places, labels, rotation=60, ha="right", rotation_mode="anchor")
    axes.set_yticks(places, labels)
    for label in (*axes.get_xticklabels(), *axes.get_yticklabels()):
        label.set_parse_math(False)
        label.set_fontsize(min(10, 60 * cell))
    if len(texts) <= MOST_FIGURES:
        for row in places:
            for column in places:
                value = float(cosines[row, column])
                colour = "black" if value > 0.6 else "white"
                figures = {"ha": "center", "va": "center", "color": colour, "fontsize": 8}
                axes.text(column, row, f"{value:.2f}", **figures)  # type: ignore[arg-type]
    with warnings.catch_warnings():
        # Of scripts that the font lacks: the boxes it draws instead are in sight.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(file, format=kind.removeprefix("."), dpi=150, bbox_inches="tight")


def _label(text: str) -> str:
    line = " ".join("".join(c if is_harmless(c) else " " for c in text).split())
    return line if len(line) <= LABEL else f"{line[: LABEL - 3]}..."


def _page(texts: Sequence[str], labels: Sequence[str], cosines: FloatArray) -> str:
    heads = [
        f' title="{html.escape(text)}">{html.escape(label)}</th>'
        for text, label in zip(texts, labels, strict=True)
    ]
    rows = [
        f'<tr><th scope="row"{head}{"".join(_cell(float(value)) for value in line)}</tr>'
        for head, line in zip(heads, cosines, strict=True)
    ]
    columns = "".join(f'<th scope="col"{head}' for head in heads)
    return PAGE.format(columns=columns, rows="\n".join(rows))


def _cell(value: float) -> str:
    """Give a cell, the darker the more alike."""
    share = min(1.0, max(0.0, value))
    ink = "#fff" if share > 0.55 else "#222"
    colour = f"hsl(210 70% {96 - 66 * share:.0f}%)"
    return f'<td style="background: {colour}; color: {ink}">{value:.2f}</td>'
