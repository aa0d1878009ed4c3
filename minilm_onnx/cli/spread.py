"""minilm-onnx embed --engine ray: files to a folder of files, on many machines."""

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from minilm_onnx.cli.options import show_bar
from minilm_onnx.errors import InputError

FORMATS = ("parquet", "jsonl")


def run_on_cluster(options: argparse.Namespace) -> int:
    """Embed what is missing, and say how much is there."""
    target = options.output or (str(options.out) if options.out is not None else None)
    if target is None:
        raise InputError("--engine ray: expected OUTPUT, a folder, got none; name one")
    if options.format not in (None, *FORMATS):
        raise InputError(
            f"--format {options.format}: expected parquet or jsonl with --engine ray; choose one"
        )
    try:
        from minilm_onnx.integrations.ray import embed_files
    except ImportError as error:
        raise InputError(str(error)) from error
    with _progress() as progress:
        rows = embed_files(
            options.file,
            target,
            field=options.field or "text",
            column=options.column,
            precision=options.precision,
            format=options.format or "parquet",
            model=options.model,
            threads=options.threads or 1,
            progress=progress,
        )
    print(f"{rows} rows in {target}: {options.precision} vectors", file=sys.stderr)
    return 0


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """Show a bar over the pieces, on a terminal only."""
    if not show_bar():
        yield lambda done, pieces: None
        return
    from tqdm import tqdm

    with tqdm(desc="embed", unit=" files", leave=False) as bar:

        def show(done: int, pieces: int) -> None:
            bar.total = pieces
            bar.update(done - bar.n)

        yield show
