"""How search shows a passage: on a terminal in a few lines, with colours where it takes them."""

import os
import shutil
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from minilm_onnx.cli.excerpt import Span, excerpt
from minilm_onnx.cli.options import printable
from minilm_onnx.errors import shorten

if TYPE_CHECKING:
    from minilm_onnx.index.results import Result

INDENT = " " * 8
BOLD, CYAN, FAINT = "1", "36", "2"


def show(result: "Result", marked: Span | None = None) -> str:
    """Put a result in lines: as many as it needs, or a few as wide as the terminal.

    Args:
        result: what was found.
        marked: a part of its text, to be set off; for a terminal that takes colours.
    """
    source = result.source
    if source.startswith("/"):
        with suppress(OSError):  # the current folder is gone
            near = os.path.relpath(source)
            source = source if near.startswith("..") else near
    lines = f"{result.first_line}"
    if result.last_line > result.first_line:
        lines += f"-{result.last_line}"
    place = _styled(printable(f"{source}:{lines}"), BOLD)
    if result.headings:
        place += f"  {_styled(printable(result.headings), CYAN)}"
    text = INDENT + printable(result.text)
    if sys.stdout.isatty():
        text = _on_terminal(result.text, marked)
    return f"{_styled(_score(result), FAINT)}  {place}\n{_described(result.metadata)}{text}"


def _score(result: "Result") -> str:
    """Say how good a result is: its cosine, or its ranks, whose sum nobody could read."""
    if result.hybrid is None:
        return f"{result.score:.4f}"
    ranks = {"words": result.hybrid.words, "meaning": result.hybrid.meaning}
    return ", ".join(f"{how} #{rank}" for how, rank in ranks.items() if rank is not None)


def _on_terminal(text: str, marked: Span | None) -> str:
    width = max(40, shutil.get_terminal_size().columns) - len(INDENT)
    return "\n".join(
        f"{INDENT}{before}{_styled(part, BOLD) if part else ''}{behind}".rstrip()
        for before, part, behind in excerpt(text, marked, width)
    )


def _described(metadata: Mapping[str, Any]) -> str:
    """Put metadata on a line, but for a file's time, which --json has; "" if there is none."""
    # Not needed by the other commands.
    from minilm_onnx.reading.metadata import MODIFIED, values_of

    said = [
        f"{printable(name)}: {shorten(printable(', '.join(values)))}"
        for name, values in values_of(metadata).items()
        if name != MODIFIED
    ]
    return f"{INDENT}{_styled(shorten('; '.join(said)), FAINT)}\n" if said else ""


def _styled(words: str, style: str) -> str:
    return f"\x1b[{style}m{words}\x1b[0m" if takes_colour() else words


def takes_colour() -> bool:
    """Whether stdout is a terminal that takes colours, and nobody refuses them: no-color.org."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    # Consoles before Windows Terminal print the codes.
    return sys.stdout.isatty() and (sys.platform != "win32" or "WT_SESSION" in os.environ)
