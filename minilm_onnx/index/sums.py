"""Files that are to be indexed: their names, sizes, times, sums and bytes."""

from pathlib import Path

from minilm_onnx.errors import ArtifactError, InputError
from minilm_onnx.folder.files import sha256_of
from minilm_onnx.reading.metadata import time_of


def size_of(file: Path) -> int:
    """Give a file's size in bytes, 0 where that cannot be said."""
    try:
        return file.stat().st_size
    except OSError:  # a link that leads nowhere: it is refused when its turn comes
        return 0


def changed_at(file: Path) -> str | None:
    """Give when a file was changed, as metadata has it; None where that cannot be said."""
    try:
        return time_of(file.stat().st_mtime)
    except OSError:  # as in `size_of`
        return None


def sum_of(file: Path) -> bytes:
    """Give a file's sha256.

    Raises:
        InputError: it cannot be read.
    """
    try:
        return bytes.fromhex(sha256_of(file))
    except ArtifactError as error:
        # Of a file that is read here, exporting is no remedy.
        raise InputError(f"{str(error).rpartition(';')[0]}; check it") from error


def read_whole(file: Path) -> bytes:
    """Give all of a file, as `sum_of` found it to be one.

    Raises:
        InputError: it cannot be read.
    """
    try:
        return file.read_bytes()
    except OSError as error:
        raise InputError(
            f"{file}: expected a readable file, got {error.strerror}; check it"
        ) from error


def check_name(name: str) -> None:
    """Raise InputError if a file's name is no text, which a database could not give back."""
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"{name!a}: expected a name in UTF-8, got other bytes; rename the file"
        ) from error
