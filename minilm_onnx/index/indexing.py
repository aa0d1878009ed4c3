"""Files and folders into an index: what is new or changed goes in, what is gone goes out."""

import hashlib
import json
import os
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from minilm_onnx.errors import InputError
from minilm_onnx.index.contents import Written
from minilm_onnx.index.sqlite import damaged
from minilm_onnx.index.store import is_there
from minilm_onnx.index.sums import changed_at, check_name, read_whole, size_of, sum_of
from minilm_onnx.index.textindex import Change, TextIndex
from minilm_onnx.progress import Update, named_bar
from minilm_onnx.reading.columns import FIELD
from minilm_onnx.reading.documents import read_documents
from minilm_onnx.reading.folders import find_files
from minilm_onnx.reading.kinds import JSON_LINES, MARKDOWN, ROWS, suffix_of

# Passages that are removed in one transaction, which other writers wait for: a second's work.
REMOVED = 3000


@dataclass
class Outcome:
    """What a run did.

    Attributes:
        changed: what became of each source that was new or altered.
        unchanged: how many sources were as the index has them.
        removed: those that are gone.
        others: files in the folders that are of no kind that is indexed.
        links: those to folders, which are not followed.
        refused: what is wrong with each that could not be read; the index keeps what it had of it.
        left_out: of sources, what their metadata lacks of what they say, and why.
    """

    changed: dict[str, Change] = field(default_factory=dict)
    unchanged: int = 0
    removed: list[str] = field(default_factory=list)
    others: int = 0
    links: list[str] = field(default_factory=list)
    refused: dict[str, InputError] = field(default_factory=dict)
    left_out: dict[str, list[str]] = field(default_factory=dict)


def source_of(path: Path) -> str:
    """Give the name of a file as a source: its absolute path, "/" between its parts."""
    return Path(os.path.abspath(path)).as_posix()  # noqa: PTH100  a link keeps its own name


def index_paths(
    index: TextIndex,
    paths: Sequence[str | Path],
    *,
    text_field: str | None = None,
    lines: bool | None = None,
    show_progress_bar: bool = False,
    outcome: Outcome | None = None,
    check: Callable[[Path], object] = lambda file: None,
) -> Outcome:
    """Bring an index to the state of files and folders.

    Each file is a source. One that fails does not stop the others, unless it was named itself;
    whatever stops the run, the sources that are done stay in the index.

    Args:
        index: where to.
        paths: files, and folders, of which all files that can be read are taken.
        text_field: of rows, the field with their text; None for the one that a file was read by
            before, else "text", else a table's only column.
        lines: whether each line of text is a text; None for what a file was read as before, or
            no. Of a file that was named itself, with `text_field`, each line is JSON.
        show_progress_bar: whether to show one, on a terminal.
        outcome: to be filled meanwhile, for who wants to know what was done before an error.
        check: called with each file before it is read; raises InputError to refuse it.

    Raises:
        InputError: a path leads nowhere and the index has nothing of it, or a file that was named
            cannot be read, or has no fields though one is asked for.
        DatabaseError: SQLite failed.
    """
    outcome = Outcome() if outcome is None else outcome
    if isinstance(paths, str | Path):
        raise InputError(f"paths: expected a list of paths, got one; give [{str(paths)!r}]")
    given = [Path(path) for path in paths]
    known = index.written()
    named = {source_of(path) for path in given}
    below: dict[str, None] = {}
    found: list[Path] = []
    in_order = sorted(known)
    for path in given:  # before anything is embedded
        of_path = _below(source_of(path), in_order)
        below |= dict.fromkeys(of_path)
        if not is_there(path):
            if not of_path:
                refuse_missing(path)
        elif path.is_dir():
            inside = find_files(path)
            if str(path) in inside.closed:
                raise inside.closed[str(path)]
            found += inside.files
            outcome.others += inside.others
            outcome.links += inside.links
            outcome.refused |= inside.closed
        else:
            found.append(path)
    sources: dict[str, Path] = {}
    for file in found:
        sources.setdefault(source_of(file), file)
    gone = []
    for name in below:
        # What was named before and is not found in its folder: hidden, or of no known suffix.
        try:
            if is_there(Path(name)):
                sources.setdefault(name, Path(name))
            elif name not in sources:
                gone.append(name)
        except InputError as error:  # it may be there, in a folder that cannot be looked into
            outcome.refused.setdefault(str(Path(name).parent), error)
    size = sum(map(size_of, sources.values()))
    with named_bar("index", size, show=show_progress_bar) as done:
        for name, file in sources.items():
            part = _Part(size_of(file), done)
            try:
                check_name(name)
                check(file)
                before = known.get(name, Written())
                index.check()
                how = _how(
                    suffix_of(file.name), before.note, text_field, lines, named=name in named
                )
                modified = changed_at(file)
                depends = how.encode(), file.suffix.encode()
                digest = index.digest(*depends, sum_of(file))
                if before.digest == digest:
                    outcome.unchanged += 1
                    if before.modified != modified:
                        index.set_time(name, modified)
                else:
                    chosen, in_lines = json.loads(how)
                    # Once: the file may change, and its sum must be that of these documents.
                    content = read_whole(file)
                    digest = index.digest(*depends, hashlib.sha256(content).digest())
                    documents = read_documents(file, chosen, lines=in_lines, content=content)
                    outcome.changed[name] = index.write(
                        name, documents, digest, note=how, modified=modified, done=part.add
                    )
                    if left_out := dict.fromkeys(
                        one for document in documents for one in document.left_out
                    ):
                        outcome.left_out[name] = list(left_out)
            except InputError as error:
                if name in named:
                    raise
                outcome.refused[name] = error
            part.finish()
    for some in _by_passages(gone, index.sources() if gone else {}):
        index.delete(*some)
        outcome.removed += some
    unfinished = index.unfinished()
    left = [name for path in given for name in _below(source_of(path), unfinished)]
    if left := [name for name in left if name not in sources]:
        index.delete(*left)
    if gone or outcome.changed:
        index.compact()
    return outcome


def _how(
    suffix: str, before: str, text_field: str | None, lines: bool | None, *, named: bool
) -> str:
    """Note how a file is to be read: as asked for, else as before, so far as it makes a difference.

    Args:
        suffix: of the file.
        before: the note that it was written with, "" for none.
        text_field: the field that is asked for, None for none.
        lines: whether lines are, None for neither.
        named: whether the file was, and not found in a folder, where some may have no fields.
    """
    field_before, lines_before = _read_note(before) if before else (None, False)
    in_lines = lines_before if lines is None else lines
    if suffix in ROWS or suffix in MARKDOWN:
        in_lines = False
    field = text_field if suffix in ROWS or named else None
    if field is None and (suffix in ROWS or in_lines):
        field = field_before
    if field == FIELD and suffix in JSON_LINES:  # which they are read by unasked
        field = None
    return json.dumps([field, in_lines])


def _read_note(note: str) -> tuple[str | None, bool]:
    """Give the field that a file was read by, and whether by its lines.

    Raises:
        DatabaseError: no note says so.
    """
    with suppress(ValueError, RecursionError):
        match json.loads(note):
            case [str() | None as field, bool() as lines]:
                return field, lines
    raise damaged("notes on files")


def refuse_missing(path: Path) -> None:
    """Raise InputError if a path leads nowhere."""
    if not is_there(path):
        raise InputError(f"{path}: expected a file or a folder, got none; check the path")


def _by_passages(names: Sequence[str], sizes: dict[str, int]) -> Iterator[list[str]]:
    """Give some sources at a time, by the passages that they have."""
    some: list[str] = []
    held = 0
    for name in names:
        some.append(name)
        held += 1 + sizes.get(name, 0)
        if held >= REMOVED:
            yield some
            some, held = [], 0
    if some:
        yield some


class _Part:
    """A file's part of the progress: shares of it as bytes, and never more than it has."""

    def __init__(self, size: int, done: Update) -> None:
        self._size, self._done = size, done
        self._told = 0
        self._share = 0.0

    def add(self, share: float, embedded: int) -> None:
        self._share += share
        told = max(0, min(self._size, round(self._share * self._size)))
        self._done(told - self._told, embedded)
        self._told = told

    def finish(self) -> None:
        self._done(self._size - self._told, 0)


def _below(name: str, sources: Sequence[str]) -> list[str]:
    """Give those of some sources, in order, that are a path or lie below it."""
    folder = name.rstrip("/") + "/"
    first = bisect_left(sources, folder)
    end = bisect_left(sources, folder[:-1] + chr(ord("/") + 1))
    place = bisect_left(sources, name)
    own = [name] if name in sources[place : place + 1] else []
    return own + list(sources[first:end])
