"""The few lines of a passage that a terminal shows, those with its marked part among them."""

import re
import textwrap
from typing import TypeAlias

from minilm_onnx.cli.options import printable, printable_line

MOST_LINES = 5
# Lines of a text behind its marked part that are wrapped: a text may be a book.
LONG = 64
# Stands where something is left out.
CUT = "..."
# What says code or a table, whose lines mean something: a fence, an indent, a bar at both ends.
LAID_OUT = re.compile(r"^(?:```|~~~| {4}|\t|\|.*\|\s*$)", re.MULTILINE)

# Where a part of a text begins and ends.
Span: TypeAlias = tuple[int, int]
# What stands before a line's marked part, that part, and what stands behind it.
Line: TypeAlias = tuple[str, str, str]


def excerpt(text: str, marked: Span | None, width: int) -> list[Line]:
    """Wrap a text; of code and tables keep the lines, and show the beginning of each.

    Args:
        text: a passage.
        marked: a part of it that is to be seen; None for the beginning.
        width: characters of a line.
    """
    shown = _lines if LAID_OUT.search(text) else _wrapped
    return shown(text, marked or (0, 0), width)


def _wrapped(text: str, marked: Span, width: int) -> list[Line]:
    first, end = marked
    text = text[: end + LONG * width]
    before, part, behind = (printable(one) for one in (text[:first], text[first:end], text[end:]))
    # On one line, words that stood apart stand apart.
    if before and text[first - 1].isspace():
        before += " "
    if before + part and behind and text[end].isspace():
        behind = f" {behind}"
    line, marked = before + part + behind, (len(before), len(before) + len(part))
    if skipped := _skipped(line, marked, width):
        added = len(CUT) + 1 - skipped
        line, marked = f"{CUT} {line[skipped:]}", (marked[0] + added, marked[1] + added)
    lines = textwrap.wrap(line, width, max_lines=MOST_LINES, placeholder=f" {CUT}")
    starts = _starts(lines, line)
    return [_divided(one, marked, start) for one, start in zip(lines, starts, strict=True)]


def _skipped(line: str, marked: Span, width: int) -> int:
    """Give how many characters are left out before the marked part, so that it is seen."""
    if marked[1] == 0:
        return 0
    starts = _starts(textwrap.wrap(line, width), line)
    first, last = (
        sum(start <= place for start in starts) - 1 for place in (marked[0], marked[1] - 1)
    )
    if last < MOST_LINES - 1 or len(starts) <= MOST_LINES:
        return 0
    # With a line before it if there is room, and as many lines as there can be.
    before = first - 1 if last - first < MOST_LINES - 2 else first
    return starts[max(0, min(before, len(starts) - MOST_LINES + 1))]


def _starts(lines: list[str], text: str) -> list[int]:
    """Give where the lines that a text was wrapped into begin in it."""
    starts = []
    place = 0
    for line in lines:
        bare = line.removesuffix(CUT).rstrip()
        place = text.index(bare, place)
        starts.append(place)
        place += len(bare)
    return starts


def _divided(line: str, marked: Span, start: int) -> Line:
    """Divide a line that begins somewhere in a text at the text's marked part."""
    first, end = (min(max(place - start, 0), len(line)) for place in marked)
    return line[:first], line[first:end], line[end:]


def _lines(text: str, marked: Span, width: int) -> list[Line]:
    shown: list[Line] = []
    start = len(text) - len(text.lstrip("\n"))
    for line in text.strip("\n").splitlines(keepends=True):
        parts = _divided(line.rstrip(), marked, start)
        before, part, behind = (printable_line(one.expandtabs(4)) for one in parts)
        shown.append(_fitting(before, part, behind, width))
        start += len(line)
    if len(shown) <= MOST_LINES:
        return shown
    left_out: Line = (CUT, "", "")
    first = next((place for place, (_, part, _) in enumerate(shown) if part), 0)
    if first > MOST_LINES - 2:  # the last line that would be shown
        skipped = min(first - 1, len(shown) - MOST_LINES + 1)
        shown = [left_out, *shown[skipped:]]
    return shown if len(shown) <= MOST_LINES else [*shown[: MOST_LINES - 1], left_out]


def _fitting(before: str, part: str, behind: str, width: int) -> Line:
    """Cut a line at its end, and at its beginning if the marked part would not be seen."""
    dots = len(CUT) + 1
    over = len(before) + len(part) + (dots if behind else 0) - width
    if part and before and over > 0:
        before = f"{CUT} {before[over + dots :]}"
    line, marked = before + part + behind, (len(before), len(before) + len(part))
    if len(line) <= width:
        return before, part, behind
    before, part, behind = _divided(line[: width - dots], marked, 0)
    return before, part, f"{behind} {CUT}"
