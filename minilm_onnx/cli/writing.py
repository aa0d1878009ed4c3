"""Vectors to a file, in constant memory, whole or not at all."""

import errno
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
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

    def __init__(self, file: BinaryIO, kind: str, dimension: int, rows: int = 0) -> None:
        """Start a file of one of FORMATS for vectors of some dimension.

        Args:
            file: where to write.
            kind: the format.
            dimension: components of a vector.
            rows: how many are there, the file being at their end.
        """
        self.rows = rows
        self._dimension = dimension
        self._file = file
        self._kind = kind
        if rows:
            return
        if kind == "npy":
            self._write_header()
        elif kind == "csv":
            file.write(",".join(["text", *(f"e{i}" for i in range(dimension))]).encode() + b"\n")

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
        for text, row in zip(texts, decimals, strict=True):
            if self._kind == "csv":
                # Always in quotes: Python's csv leaves them out where a lone "\r" needs them.
                quoted = text.replace('"', '""')
                line = f'"{quoted}",{",".join(row)}\n'
            else:
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
    with whole_file(path) as file:
        output = Output(file, kind, dimension)
        yield output
        output.finish()


def refuse_input(out: Path | None, name: str, option: str = "--out") -> None:
    """Raise InputError where an output would take the place of the input.

    Args:
        out: the file to make or replace; None for stdout.
        name: of the file that is read; "-" for standard input.
        option: that named `out`, for the error.
    """
    same = False
    with suppress(OSError, ValueError):  # one of them is not there, or cannot be
        same = out is not None and name != "-" and out.samefile(name)
    if same:
        raise InputError(
            f"{option} {out}: expected another file than the input, got the input; choose another"
        )


@contextmanager
def whole_file(path: Path, option: str = "--out") -> Iterator[BinaryIO]:
    """Open a file that takes its name only when the block ends well.

    Args:
        path: the file to make or replace.
        option: that named it, for errors.

    Raises:
        InputError: there can be no such file.
        MiniLMError: writing failed on the way, as on a full disk.
    """
    with writable(path, option=option) as target:
        handle, name = tempfile.mkstemp(prefix=f".{target.name[:32]}.", dir=target.parent)
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                yield file
                sync(file)
            give_name(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def writable(
    path: Path, left: str = "nothing was left there", option: str = "--out"
) -> Iterator[Path]:
    """Give where a file's bytes go, and say what is wrong if they cannot.

    Args:
        path: the file to make or replace.
        left: what becomes of them when writing fails on the way.
        option: that named it, for errors.

    Raises:
        InputError: there can be no such file.
        MiniLMError: writing failed on the way, as on a full disk.
    """
    # Through a link, what it points to is replaced, as a plain write would.
    try:
        target = path.resolve()
        regular = target.is_file() or not target.exists()
        if regular:
            # Asked of a file that is deleted at once, because permissions alone do not tell.
            tempfile.TemporaryFile(dir=target.parent).close()
    except (OSError, RuntimeError, ValueError) as error:  # also a circle of links; a NUL
        full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)
        raise (MiniLMError if full else InputError)(
            f"{option} {path}: expected a writable place, got {getattr(error, 'strerror', error)}; "
            "choose another"
        ) from error
    if not regular:
        raise InputError(
            f"{option} {path}: expected a regular file, got something else; "
            "name a file, or omit --out for stdout"
        )
    try:
        yield target
    except OSError as error:
        raise MiniLMError(
            f"{option} {path}: expected to continue writing, got {error.strerror}; free some "
            f"space: {left}"
        ) from error


def sync(file: BinaryIO) -> None:
    """Put a file's bytes on the disk: its name must not outlive a power cut that they do not."""
    file.flush()
    os.fsync(file.fileno())


def give_name(temporary: Path, target: Path) -> None:
    """Put a complete file, which `sync` has put on the disk, where it belongs, at once."""
    temporary.chmod(_mode(target))
    temporary.replace(target)
    _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    """Put a folder's names on the disk, where the system can: what follows may rely on them."""
    with suppress(OSError):  # Windows opens no folders; others may not be read, or not synced
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _mode(path: Path) -> int:
    """Permissions a new file at this path would have, or those of the file it replaces."""
    if path.exists():
        return path.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
