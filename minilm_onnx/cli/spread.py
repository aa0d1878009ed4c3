"""minilm-onnx embed --engine ray: files to a folder of files, on many machines."""

import argparse
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from minilm_onnx.cli.options import show_bar
from minilm_onnx.errors import InputError
from minilm_onnx.text.reports import Tally

FORMATS = ("parquet", "jsonl")
# How one process uses the CPUs of one machine.
LOCAL = ("spinning", "pinning", "exact_products", "token_budget")


def run_on_cluster(options: argparse.Namespace) -> int:
    """Embed what is missing, and say how much is there.

    A run goes on with what an earlier one left, whether --resume is given or not.
    """
    target = options.output or options.out
    if target in (None, "-"):
        raise InputError("--engine ray: expected OUTPUT, a folder, got none; name one")
    if options.file == "-":
        raise InputError("--engine ray: expected INPUT, a file or a folder, got stdin; name one")
    if options.format not in (None, *FORMATS):
        raise InputError(
            f"--format {options.format}: expected parquet or jsonl with --engine ray; choose one"
        )
    for name in LOCAL:
        if getattr(options, name) is not None:
            raise InputError(
                f"--{name.replace('_', '-')}: expected none with --engine ray, whose workers "
                "choose it themselves; leave it out"
            )
    if options.bf16:
        raise InputError(
            "--bf16: expected none with --engine ray, whose workers multiply float32 as float32; "
            "leave it out"
        )
    try:
        from minilm_onnx.integrations.ray import embed_files
    except ImportError as error:
        raise InputError(str(error)) from error
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with _progress() as progress:
        done = embed_files(
            options.file,
            target,
            field=options.field,
            column=options.column,
            precision=options.precision,
            format=options.format or "parquet",
            model=options.model,
            threads=1 if options.threads is None else options.threads,
            progress=progress,
        )
    said = f"{done.rows} rows in {target}: {options.precision} vectors"
    if done.embedded < done.rows:
        said += f"; {done.embedded} embedded now, the others were there"
    tally = Tally(done.rows, done.cut, done.unreadable)
    said += without_text(done.without) + tally.said("the model's limit")
    print(said, file=sys.stderr)
    return 0


def without_text(rows: int) -> str:
    """Say how many rows of a table have null in place of a text; "" for none."""
    return f"; {rows} rows have no text, and no vector" if rows else ""


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
