"""A progress bar, where somebody can see it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from minilm_onnx.errors import InputError


@contextmanager
def progress_bar(texts: int, *, show: bool) -> Iterator[Callable[[int], None]]:
    """Show how many texts are done, on a terminal or in a notebook; elsewhere nothing.

    Yields:
        A function to call with the number of texts that were done since.

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
            "pip install 'minilm-onnx[progress]' or leave it out"
        ) from error
    notebook = any(base.__module__ == "tqdm.notebook" for base in tqdm.__mro__)
    with tqdm(total=texts, unit="text", disable=False if notebook else None) as bar:
        yield bar.update
