"""A picture of who is like whom: PNG or SVG by matplotlib, or a page of HTML that needs nothing."""

import html
import io
import warnings
from collections.abc import Sequence
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from minilm_onnx.arrays import FloatArray
from minilm_onnx.cli.options import is_harmless
from minilm_onnx.cli.palette import (
    BLACK_FROM_IN_DARK,
    DARK,
    INK,
    KEY,
    PAPER,
    RULE,
    WHITE_FROM,
    with_dark,
)
from minilm_onnx.errors import InputError, installing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SUFFIXES = (".png", ".svg", ".html")
# Beyond this a cell has no room for its figure, and beyond that the picture none for its texts.
MOST_FIGURES, MOST_TEXTS = 15, 200
# A page can be scrolled.
MOST_FIGURES_OF_A_PAGE = 40
LABEL = 40
# Inches of all cells side by side.
LARGEST = 20
PAGE = Template("""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Similarity</title>
<style>
:root { color-scheme: light dark; --ink: $ink; --page: $paper; --key: $key;
  --low: #000; --middle: #000; --high: #fff }
@media (prefers-color-scheme: dark) {
  :root { --ink: $dark_ink; --page: $dark_paper; --key: $dark_key;
    --low: #fff; --middle: #000; --high: #000 }
}
body { font: 14px system-ui, sans-serif; margin: 2em;
  background: var(--page); color: var(--ink) }
table { border-collapse: collapse } caption { text-align: left; padding: 0 0 1em }
th { font-weight: normal; text-align: left; padding: 1px 8px; white-space: nowrap }
thead th { writing-mode: sideways-lr; vertical-align: bottom; padding: 8px 1px }
td { min-width: ${side}em; height: ${side}em; padding: 0; text-align: center;
  color: var(--low);
  background: color-mix(in srgb, var(--key) var(--share), var(--page)) }
@supports (background: color-mix(in srgb, red, blue)) {
  td.middle { color: var(--middle) } td.high { color: var(--high) }
}
</style>
<table><caption>Cosine similarity; texts that are alike are neighbours</caption>
<thead><tr><th></th>$columns</tr></thead>
<tbody>
$rows
</tbody></table></html>
""")


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
    """Draw how alike texts are, with those that are alike side by side.

    Args:
        file: where to.
        kind: one of SUFFIXES.
        texts: N texts.
        cosines: (N, N) float32.
    """
    order = neighbours(cosines)
    texts, cosines = [texts[place] for place in order], cosines[np.ix_(order, order)]
    labels = [_label(text) for text in texts]
    if kind == ".html":
        file.write(_page(texts, labels, cosines).encode())
        return
    import matplotlib as mpl

    colours = ("text.color", "axes.labelcolor", "xtick.color", "ytick.color")
    # SVG: text stays text, and the same texts give the same file.
    style: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": "minilm-onnx"}
    with mpl.rc_context(style | dict.fromkeys(colours, INK) | {"axes.edgecolor": RULE}):
        figure = _figure(labels, cosines)
        with warnings.catch_warnings():
            # Of scripts that the font lacks: the boxes it draws instead are in sight.
            warnings.filterwarnings("ignore", message="Glyph .* missing from font")
            if kind == ".png":
                figure.savefig(file, format="png", dpi=150, bbox_inches="tight")
                return
            drawn = io.StringIO()
            more: dict[str, Any] = {"transparent": True, "metadata": {"Date": None}}
            figure.savefig(drawn, format="svg", bbox_inches="tight", **more)
            file.write(with_dark(drawn.getvalue()).encode())


def neighbours(cosines: FloatArray) -> list[int]:
    """Order texts so that groups can be seen: by average linkage, joined at their likest ends.

    Args:
        cosines: (N, N) float32, symmetric.

    Returns:
        The N places, of which the first text's half comes first.
    """
    groups = [[place] for place in range(len(cosines))]
    alike = cosines.astype(np.float64)
    np.fill_diagonal(alike, -np.inf)
    while len(groups) > 1:
        first, second = sorted(divmod(int(alike.argmax()), len(groups)))
        one, other = groups[first], groups.pop(second)
        weights = len(one), len(other)
        joined = np.average(alike[[first, second]], axis=0, weights=weights)
        joined[first] = -np.inf
        alike[first] = alike[:, first] = joined
        alike = np.delete(np.delete(alike, second, 0), second, 1)
        turned = [(a, b) for a in (one, one[::-1]) for b in (other, other[::-1])]
        before, after = max(turned, key=lambda ends: float(cosines[ends[0][-1], ends[1][0]]))
        groups[first] = before + after
    (order,) = groups
    return order if order.index(0) < len(order) / 2 else order[::-1]


def _figure(labels: Sequence[str], cosines: FloatArray) -> "Figure":
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.figure import Figure

    cell = min(0.45, LARGEST / len(labels))  # inches
    size = 2.5 + cell * len(labels)
    figure = Figure(figsize=(size + 3, size), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    shades = LinearSegmentedColormap.from_list("alike", [PAPER, KEY])
    image = axes.imshow(cosines, cmap=shades, vmin=0, vmax=1)
    figure.colorbar(image, label="cosine similarity", shrink=0.7)
    places = range(len(labels))
    axes.set_xticks(places, labels, rotation=60, ha="right", rotation_mode="anchor")
    axes.set_yticks(places, labels)
    for label in (*axes.get_xticklabels(), *axes.get_yticklabels()):
        label.set_parse_math(False)
        label.set_fontsize(min(10, 60 * cell))
    if len(labels) <= MOST_FIGURES:
        for row in places:
            for column in places:
                value = float(cosines[row, column])
                colour = "white" if value >= WHITE_FROM else "black"
                figures = {"ha": "center", "va": "center", "color": colour, "fontsize": 8}
                axes.text(column, row, _shown(value), **figures)  # type: ignore[arg-type]
    return figure


def _shown(value: float) -> str:
    return f"{value:.2f}".replace("-0.00", "0.00")


def _label(text: str) -> str:
    line = " ".join("".join(c if is_harmless(c) else " " for c in text).split())
    return line if len(line) <= LABEL else f"{line[: LABEL - 3]}..."


def _page(texts: Sequence[str], labels: Sequence[str], cosines: FloatArray) -> str:
    figures = len(texts) <= MOST_FIGURES_OF_A_PAGE
    heads = [
        f' title="{html.escape(text)}">{html.escape(label)}</th>'
        for text, label in zip(texts, labels, strict=True)
    ]
    rows = []
    for head, line in zip(heads, cosines, strict=True):
        cells = "".join(_cell(float(value), figures=figures) for value in line)
        rows.append(f'<tr><th scope="row"{head}{cells}</tr>')
    columns = "".join(f'<th scope="col"{head}' for head in heads)
    side = 2.9 if figures else 1.1
    return PAGE.substitute(
        ink=INK,
        paper=PAPER,
        key=KEY,
        dark_ink=DARK[INK],
        dark_paper=DARK[PAPER],
        dark_key=DARK[KEY],
        side=side,
        columns=columns,
        rows="\n".join(rows),
    )


def _cell(value: float, *, figures: bool) -> str:
    """Give a cell, deeper the more alike they are; without figures, resting on it shows it."""
    share = min(1.0, max(0.0, value))
    kind = "high" if share >= WHITE_FROM else "middle" if share >= BLACK_FROM_IN_DARK else ""
    named = f' class="{kind}"' if kind else ""
    said, hint = (_shown(value), "") if figures else ("", f' title="{_shown(value)}"')
    return f'<td{named}{hint} style="--share: {100 * share:.0f}%">{said}</td>'
