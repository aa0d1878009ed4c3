"""Vectors to a file, in constant memory, whole or not at all."""

import csv
import io
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

from minilm_onnx.arrays import FloatArray
from minilm_onnx.errors import InputError, MiniLMError

FORMATS = ("npy", "jsonl", "csv")


class Output:
    """An open output; rows are appended as they come.

    Attributes:
        rows: vectors written so far.
    """

    def __init__(self, file: BinaryIO, kind: str, dimension: int) -> None:
        """Start a file of one of FORMATS for vectors of some dimension."""
        self.rows = 0
        self._dimension = dimension
        self._file = file
        self._kind = kind
        if kind == "npy":
            self._write_header()
        elif kind == "csv":
            self._write_csv([["text", *(f"e{i}" for i in range(dimension))]])

    def write(self, texts: Sequence[str], vectors: FloatArray) -> None:
        """Append some rows.

        Args:
            texts: N texts, kept beside their vectors in jsonl and csv.
            vectors: (N, H) float32.
        """
        self.rows += len(vectors)
        if self._kind == "npy":
            self._file.write(vectors.astype("<f4").tobytes())
            return
        # The shortest decimals that read back as the same float32.
        decimals = vectors.astype(str).tolist()
        if self._kind == "csv":
            self._write_csv([[text, *row] for text, row in zip(texts, decimals, strict=True)])
            return
        for text, row in zip(texts, decimals, strict=True):
            line = f'{{"text": {json.dumps(text)}, "embedding": [{", ".join(row)}]}}\n'
            self._file.write(line.encode())

    def finish(self) -> None:
        """Write what only the end knows: the row count in an .npy header."""
        if self._kind == "npy":
            self._file.seek(0)
            self._write_header()

    def _write_header(self) -> None:
        # numpy pads the header so that the first axis can grow in place; its length is the
        # same for any number of rows.
        np.lib.format.write_array_header_1_0(
            self._file,
            {"descr": "<f4", "fortran_order": False, "shape": (self.rows, self._dimension)},
        )

    def _write_csv(self, rows: list[list[str]]) -> None:
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\n").writerows(rows)
        self._file.write(text.getvalue().encode())


@contextmanager
def open_output(path: Path | None, kind: str, dimension: int) -> Iterator[Output]:
    """Open an output that takes its name only when the block ends well; None is stdout.

    Args:
        path: the file to make or replace.
        kind: one of FORMATS.
        dimension: components of a vector.

    Raises:
        InputError: there can be no such file.
        MiniLMError: writing failed on the way, as on a full disk.
    """
    if path is None:
        yield Output(sys.stdout.buffer, kind, dimension)
        return
    try:
        # Through a link, what it points to is replaced, as a plain write would.
        target = path.resolve()
        if target.exists() and not target.is_file():
            raise InputError(
                f"--out {path}: expected a regular file, got something else; "
                "name a file, or leave --out away for stdout"
            )
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    except OSError as error:
        raise InputError(
            f"--out {path}: expected a writable place, got {error.strerror}; choose another"
        ) from error
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            output = Output(file, kind, dimension)
            yield output
            output.finish()
        temporary.chmod(_mode(target))
        temporary.replace(target)
    except OSError as error:
        raise MiniLMError(
            f"--out {path}: expected to write the vectors, got {error.strerror}; "
            "free some space: nothing was left there"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def _mode(path: Path) -> int:
    """Permissions a new file at this path would have, or those of the file it replaces."""
    if path.exists():
        return path.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
