"""Files of a model folder, which somebody else may have made: looked at before they are read."""

import hashlib
import json
import re
import reprlib
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import Any

from minilm_onnx.errors import ArtifactError

# Bytes. No graph is larger, since protobuf, its format, ends there.
MOST = 2**31
# A tokenizer.json of a hundred languages has a quarter of it.
MOST_TOKENIZER = 2**26
# Of what is read with json: the bundled golden.json has a tenth of it.
MOST_JSON = 2**20

BYTE_ORDER_MARK = b"\xef\xbb\xbf"

# An entry of TensorProto.external_data in onnx.proto, as everybody writes it: its length, the key
# "location", the length of the value, and the value, here a plain name of a file.
KEY = b"location"
ENTRY = re.compile(rb"\x6a([\x0d-\x7f])\x0a\x08location\x12(.)([^/\\\0]{1,115})", re.DOTALL)


def check_file(path: Path, most: int = MOST) -> None:
    """Look at a file before it is opened: a pipe would not open, and a device would not end.

    Args:
        path: the file, or a link to it, as the hub's cache has them.
        most: bytes it may have.

    Raises:
        ArtifactError: it is missing, not a regular file, or larger.
    """
    try:
        found = path.stat()
    except OSError as error:
        raise _unreadable(path, error) from error
    regular = stat.S_ISREG(found.st_mode)
    if not regular or found.st_size > most:
        got = f"{found.st_size} bytes" if regular else "a folder, a pipe or a device"
        raise ArtifactError(
            f"{path}: expected a regular file of at most {most} bytes, got {got}; "
            "export the model folder again"
        )


def sha256_of(path: Path) -> str:
    """Give the hexadecimal sha256 of a file.

    Raises:
        ArtifactError: it is missing, unreadable or too large.
    """
    with reading(path, MOST) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_json(path: Path) -> Any:
    """Read a small JSON file.

    Raises:
        ArtifactError: it is missing, unreadable, too large, or not JSON in UTF-8 whose objects
            name each field once.
    """
    with reading(path, MOST_JSON) as file:
        data = file.read()
    try:
        return json.loads(
            data.removeprefix(BYTE_ORDER_MARK).decode(),
            object_pairs_hook=_once,
            parse_constant=_no_number,
        )
    except (ValueError, RecursionError) as error:
        raise ArtifactError(
            f"{path}: expected JSON, got {error}; export the model folder again"
        ) from error


def external_files(graph: Path) -> list[str]:
    """Find the files beside a graph that it takes weights from.

    onnxruntime opens them by itself, whatever they are called; before 1.24 also outside the folder.
    Whoever writes an entry so that it is not seen here gives a graph that is refused.

    Raises:
        ArtifactError: the graph is unreadable, or names a file that is not beside it.
    """
    with reading(graph, MOST) as file:
        data = file.read()
    names = set()
    place = data.find(KEY)
    while place >= 0:
        # What comes before is a length of 8, in one byte or, by stealth, in several; else the word
        # is only a part of something.
        if data[max(0, place - 1) : place] in (b"\x08", b"\x00"):
            entry = ENTRY.match(data, max(0, place - 4))
            size = entry[1][0] - 12 if entry else 0
            if entry is None or entry[2][0] != size or len(entry[3]) < size:
                raise ArtifactError(
                    f"{graph}: expected weights in a file beside it, got them in "
                    f"{data[place + 10 : place + 50]!r}; export the model folder again"
                )
            names.add(entry[3][:size].decode("utf-8", "replace"))
        place = data.find(KEY, place + 1)
    return sorted(names)


@contextmanager
def reading(path: Path, most: int = MOST) -> Iterator[BufferedReader]:
    """Open a file to read.

    Raises:
        ArtifactError: it is missing, unreadable or too large.
    """
    check_file(path, most)
    try:
        with path.open("rb") as file:
            yield file
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> ArtifactError:
    return ArtifactError(
        f"{path}: expected a readable file, got {error.strerror}; export the model folder again"
    )


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object whose fields are named once: others read the last of several, or the first."""
    fields = dict(pairs)
    if len(fields) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the field {reprlib.repr(twice)} twice")
    return fields


def _no_number(name: str) -> Any:
    """Refuse NaN and Infinity, which are not JSON."""
    raise ValueError(name)
