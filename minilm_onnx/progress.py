"""Progress bars, where somebody can see them."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from minilm_onnx.errors import InputError, installing


class Update(Protocol):
    """Say how much was done since: of the bar's total, and texts, if these are something else.

    Where no texts were done, as in a file that is known already, it does not count as work.
    """

    def __call__(self, count: float, texts: int | None = None, /) -> object:
        """Say it."""


@dataclass
class Pace:
    """How fast texts are done, and when all will be.

    Attributes:
        total: how much there is, in texts, bytes or rows; None where that is unknown.
        done: how much of it is done.
        worked: of that, what was work, and not there already.
        texts: those that were done.
    """

    total: int | None
    done: float = 0
    worked: float = 0
    texts: int = 0

    def add(self, count: float, texts: int | None = None) -> None:
        """Count what was done since; see `Update`."""
        texts = round(count) if texts is None else texts
        self.done += count
        self.worked += count if texts else 0
        self.texts += texts

    def said(self, seconds: float) -> str:
        """Put it in words, so many seconds after the beginning; "" where nothing is done yet."""
        if self.texts <= 0 or seconds <= 0:
            return ""
        speed = self.texts / seconds
        words = f"{speed:,.0f} texts/s" if speed >= 10 else f"{speed:.1f} texts/s"
        if self.total is None:
            return f"{self.texts:,} texts, {words}"
        if self.worked <= 0:
            return words
        left = round(seconds * max(0, self.total - self.done) / self.worked)
        hours, rest = divmod(left, 3600)
        minutes = f"{hours}:{rest // 60:02}" if hours else f"{rest // 60}"
        return f"{words}, {minutes}:{rest % 60:02} left"


@contextmanager
def named_bar(name: str, total: int | None, *, show: bool) -> Iterator[Update]:
    """Show what is done, how fast and for how long still, on a terminal; gone at the end.

    Args:
        name: of what is done, such as "embed".
        total: how much there is, in texts, bytes or rows; None where that is unknown.
        show: whether to.

    Yields:
        A function to call with what was done since.

    Raises:
        InputError: a bar is wanted and tqdm is not installed.
    """
    if not show:
        yield lambda count, texts=None: None
        return
    pace, start = Pace(total), time.monotonic()
    begin = name if total is None else f"{name} {{percentage:3.0f}}%|{{bar}}|"
    # miniters 0, since of a pipe only the texts move, and not what tqdm counts.
    with _bar(total, bar_format=begin, leave=False, miniters=0) as bar:

        def update(count: float, texts: int | None = None, /) -> None:
            pace.add(count, texts)
            bar.bar_format = f"{begin} {pace.said(time.monotonic() - start)}"
            bar.update(count)

        yield update


@contextmanager
def progress_bar(total: int, *, show: bool, unit: str = "text") -> Iterator[Callable[[int], None]]:
    """Show how many texts are done, on a terminal or in a notebook; elsewhere nothing.

    Args:
        total: how many there are.
        show: whether to.
        unit: what is counted.

    Yields:
        A function to call with the number that were done since.

    Raises:
        InputError: a bar is wanted and tqdm is not installed.
    """
    if not show:
        yield lambda count: None
        return
    with _bar(total, unit=unit) as bar:
        yield bar.update


def _bar(total: int | None, **options: Any) -> Any:
    return _tqdm()(total=total, disable=_hidden(), **_size(), **options)


def _tqdm() -> Any:
    try:
        from tqdm.auto import tqdm
    except ImportError as error:
        raise InputError(
            "show_progress_bar: expected tqdm, which is not installed; "
            f"{installing('progress')}, or leave it out"
        ) from error
    return tqdm


def _size() -> dict[str, int]:
    """Give a size to a terminal that says 0 x 0, on which tqdm (4.70.1) would draw nothing."""
    try:
        known = os.get_terminal_size(sys.stderr.fileno()).columns
    except (OSError, ValueError, AttributeError):  # no terminal, closed, or not a file
        return {}
    return {} if known else {"ncols": 80, "nrows": 24}


def _hidden() -> bool | None:
    """Give tqdm's `disable`: None hides the bar but on a terminal, which a notebook is none."""
    notebook = any(base.__module__ == "tqdm.notebook" for base in _tqdm().__mro__)
    return False if notebook else None
