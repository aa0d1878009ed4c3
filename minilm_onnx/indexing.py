"""Files and folders into an index: what is new or changed goes in, what is gone goes out."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from minilm_onnx.documents import find_files, read_documents
from minilm_onnx.errors import ArtifactError, InputError
from minilm_onnx.files import sha256_of
from minilm_onnx.index import Change, TextIndex
from minilm_onnx.progress import progress_bar


@dataclass
class Outcome:
    """What a run did.

    Attributes:
        changed: what became of each source that was new or altered.
        unchanged: how many sources were as the index has them.
        removed: those that are gone.
        refused: what is wrong with each that could not be read; the index keeps what it had of it.
    """

    changed: dict[str, Change] = field(default_factory=dict)
    unchanged: int = 0
    removed: list[str] = field(default_factory=list)
    refused: dict[str, InputError] = field(default_factory=dict)


def source_of(path: Path) -> str:
    """Give the name of a file as a source: its absolute path, "/" between its parts."""
    return Path(os.path.abspath(path)).as_posix()  # noqa: PTH100  a link keeps its own name


def index_paths(
    index: TextIndex,
    paths: Sequence[Path],
    *,
    text_field: str | None = None,
    lines: bool = False,
    show_progress_bar: bool = False,
    outcome: Outcome | None = None,
) -> Outcome:
    """Bring an index to the state of files and folders.

    Each file is a source. One that fails does not stop the others, unless it was named itself;
    whatever stops the run, the sources that are done stay in the index.

    Args:
        index: where to.
        paths: files, and folders, of which all files that can be read are taken.
        text_field: see `read_documents`.
        lines: likewise.
        show_progress_bar: whether to show one over the bytes of the files, on a terminal.
        outcome: to be filled meanwhile, for who wants to know what was done before an error.

    Raises:
        InputError: a path leads nowhere and the index has nothing of it, or a file that was named
            cannot be read.
        DatabaseError: SQLite failed.
    """
    outcome = Outcome() if outcome is None else outcome
    known = index.digests()
    named = {source_of(path) for path in paths}
    below = [name for path in paths for name in _below(source_of(path), known)]
    for path in paths:  # before anything is embedded
        if not _below(source_of(path), known):
            refuse_missing(path)
    found = [file for path in paths if path.exists() for file in _files(path)]
    # Also what was named before and is not found in its folder: hidden, or of no known suffix.
    found += [Path(name) for name in below if Path(name).exists()]
    files = {source_of(file): file for file in found}
    with progress_bar(sum(map(_size, files.values())), show=show_progress_bar, unit="B") as done:
        for name, file in files.items():
            part = _Part(_size(file), done)
            try:
                _check_name(name)
                digest = index.digest(f"{text_field} {lines} {file.suffix}".encode(), _sum(file))
                if known.get(name) == digest:
                    outcome.unchanged += 1
                else:
                    documents = read_documents(file, text_field, lines=lines)
                    outcome.changed[name] = index.write(name, documents, digest, done=part.add)
            except InputError as error:
                if name in named:
                    raise
                outcome.refused[name] = error
            part.finish()
    gone = [name for name in dict.fromkeys(below) if name not in files]
    index.delete(*gone)
    outcome.removed += gone
    if gone or outcome.changed:
        index.compact()
    return outcome


def refuse_missing(path: Path) -> None:
    """Raise InputError if a path leads nowhere."""
    if not path.exists():
        raise InputError(f"{path}: expected a file or a folder, got none; check the path")


class _Part:
    """A file's part of the progress: shares of it as bytes, and never more than it has."""

    def __init__(self, size: int, done: Callable[[int], object]) -> None:
        self._size, self._done = size, done
        self._told = 0
        self._share = 0.0

    def add(self, share: float) -> None:
        self._share += share
        told = max(0, min(self._size, round(self._share * self._size)))
        self._done(told - self._told)
        self._told = told

    def finish(self) -> None:
        self._done(self._size - self._told)


def _files(path: Path) -> Iterator[Path]:
    return find_files(path) if path.is_dir() else iter([path])


def _below(name: str, known: dict[str, bytes]) -> list[str]:
    """Give the sources that are a path, or lie below it."""
    folder = name.rstrip("/") + "/"
    return [source for source in known if source == name or source.startswith(folder)]


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:  # a link that leads nowhere: it is refused when its turn comes
        return 0


def _sum(file: Path) -> bytes:
    """Give a file's sha256.

    Raises:
        InputError: it cannot be read.
    """
    try:
        return bytes.fromhex(sha256_of(file))
    except ArtifactError as error:
        # Of a file that is read here, exporting is no remedy.
        raise InputError(f"{str(error).rpartition(';')[0]}; check it") from error


def _check_name(name: str) -> None:
    """Raise InputError if a file's name is no text, which a database could not give back."""
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"{name!a}: expected a name in UTF-8, got other bytes; rename the file"
        ) from error
