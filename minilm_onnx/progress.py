"""A progress bar, where somebody can see it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from minilm_onnx.errors import InputError, installing


@contextmanager
def progress_bar(total: int, *, show: bool, unit: str = "text") -> Iterator[Callable[[int], None]]:
    """Show how many texts are done, on a terminal or in a notebook; elsewhere nothing.

    Args:
        total: how many there are.
        show: whether to.
        unit: what is counted; "B" for bytes.

    Yields:
        A function to call with the number that were done since.

    Raises:
        InputError: a bar is wanted and tqdm is not installed.
    """
    if not show:
        yield lambda count: None
        return
    try:
        from tqdm.auto import tqdm
    except ImportError as error:
        raise InputError(
            "show_progress_bar: expected tqdm, which is not installed; "
            f"{installing('progress')}, or leave it out"
        ) from error
    notebook = any(base.__module__ == "tqdm.notebook" for base in tqdm.__mro__)
    hidden = False if notebook else None
    with tqdm(total=total, unit=unit, unit_scale=unit == "B", disable=hidden) as bar:
        yield bar.update
