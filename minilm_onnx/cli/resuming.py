"""An output that an interrupted run leaves behind for the next one to go on with."""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, astuple, dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from minilm_onnx.arrays import FloatArray
from minilm_onnx.cli.writing import Output, give_name, sync, writable
from minilm_onnx.errors import InputError
from minilm_onnx.text.reports import Tally, TextReport


@dataclass(frozen=True)
class Progress:
    """How far an output is, as its journal says.

    Attributes:
        fingerprint: of the encoder.
        kind: the output's format.
        tally: the texts that are done, as many as rows are written.
        texts_sha256: of these, one after the other.
        size: bytes of the output that belong to them.
    """

    fingerprint: str
    kind: str
    tally: Tally = field(default_factory=Tally)
    texts_sha256: str = hashlib.sha256().hexdigest()
    size: int = 0


class Resumable:
    """An output beside its journal, which is written anew after every chunk."""

    def __init__(self, file: BinaryIO, journal: Path, dimension: int, progress: Progress) -> None:
        """Go on where a journal ends.

        Args:
            file: the partial output, at its beginning.
            journal: where to write down how far it is.
            dimension: components of a vector.
            progress: what was done before.
        """
        self._progress = progress
        self._file, self._journal = file, journal
        self._sum = hashlib.sha256()
        file.truncate(progress.size)
        file.seek(progress.size)
        self._output = Output(file, progress.kind, dimension, rows=progress.tally.texts)

    @property
    def tally(self) -> Tally:
        """The texts that are done."""
        return self._progress.tally

    def skip(self, texts: Iterator[str]) -> None:
        """Read past the texts that are done.

        Raises:
            InputError: they are not those of the earlier run.
        """
        self._add(islice(texts, self.tally.texts))
        if self._sum.hexdigest() != self._progress.texts_sha256:
            raise InputError(
                f"--resume: expected the input's first {self.tally.texts} texts to be those "
                f"that {self._journal} counts, got others; delete it to start again"
            )

    def write(
        self, texts: Sequence[str], vectors: FloatArray, reports: Sequence[TextReport]
    ) -> None:
        """Append a chunk, and note it once it is on the disk."""
        self._output.write(texts, vectors)
        sync(self._file)
        self._add(texts)
        self.tally.add(reports)
        self._progress = replace(
            self._progress, texts_sha256=self._sum.hexdigest(), size=self._file.tell()
        )
        fresh = self._journal.with_name(self._journal.name + ".new")
        with fresh.open("wb") as file:
            file.write(json.dumps(asdict(self._progress)).encode())
            sync(file)
        fresh.replace(self._journal)

    def finish(self) -> None:
        """Write what only the end knows, and put it on the disk."""
        self._output.finish()
        sync(self._file)

    def _add(self, texts: Iterable[str]) -> None:
        for text in texts:
            data = text.encode()
            self._sum.update(len(data).to_bytes(8, "little") + data)


@contextmanager
def open_resumable(path: Path, kind: str, dimension: int, fingerprint: str) -> Iterator[Resumable]:
    """Open an output that takes its name when the block ends well, and else can be resumed.

    Args:
        path: the file to make or replace; PATH.partial and PATH.partial.json lie beside it
            meanwhile.
        kind: one of FORMATS.
        dimension: components of a vector.
        fingerprint: of the encoder.

    Raises:
        InputError: there can be no such file, or what is there was made otherwise, or another
            process is at it.
        MiniLMError: writing failed on the way, as on a full disk.
    """
    with writable(path, "run the same command to resume") as target:
        partial = target.with_name(target.name + ".partial")
        journal = target.with_name(target.name + ".partial.json")
        with partial.open("r+b" if partial.exists() else "w+b") as file:
            _lock(file, partial)
            progress = _read_journal(journal, Progress(fingerprint, kind))
            if os.fstat(file.fileno()).st_size < progress.size:
                progress = Progress(fingerprint, kind)  # the output took its name, or was lost
            output = Resumable(file, journal, dimension, progress)
            yield output
            output.finish()
        give_name(partial, target)
        journal.unlink(missing_ok=True)


def _lock(file: BinaryIO, path: Path) -> None:
    """Keep other processes from resuming the same output, where the system can."""
    try:
        import fcntl
    except ImportError:  # Windows
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise InputError(
            f"--resume: expected {path} to be unused, got one that another process is "
            "writing; wait for it or choose another --out"
        ) from error


def _read_journal(path: Path, wanted: Progress) -> Progress:
    """Give what a journal says, or that nothing is done where there is none.

    Raises:
        InputError: the output was begun by another model or in another format.
    """
    found: Any = None
    with suppress(OSError, ValueError, TypeError, KeyError, RecursionError):
        fields = json.loads(path.read_text("utf-8"))
        found = Progress(**fields | {"tally": Tally(**fields["tally"])})
    if found is None or not _can_be(found):
        return wanted
    for name in ("fingerprint", "kind"):
        if getattr(found, name) != getattr(wanted, name):
            raise InputError(
                f"--resume: expected {path} of the {name} {getattr(wanted, name)}, got "
                f"{getattr(found, name)!r}; resume with the same {name}, or delete it to start "
                "again"
            )
    progress: Progress = found
    return progress


def _can_be(progress: Progress) -> bool:
    """Whether a journal's fields are of their types, and every text has its bytes."""
    texts, cut, unreadable = counts = astuple(progress.tally)
    words = (progress.fingerprint, progress.kind, progress.texts_sha256)
    return (
        all(type(word) is str for word in words)
        and all(type(count) is int for count in (*counts, progress.size))
        and 0 < texts <= progress.size
        and 0 <= cut <= texts
        and 0 <= unreadable <= texts
    )
