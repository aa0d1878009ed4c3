"""The index that the tools ask: what each of them does, without the protocol."""

import re
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from mcp.shared.uri_template import UriTemplate

from minilm_onnx.encoder import SentenceEncoder
from minilm_onnx.errors import InputError, MiniLMError, shorten, shown
from minilm_onnx.index.filterparsing import say_unknown
from minilm_onnx.index.folding import folded
from minilm_onnx.index.indexing import Outcome, index_paths
from minilm_onnx.index.passages import judged
from minilm_onnx.index.results import Result
from minilm_onnx.index.store import is_there
from minilm_onnx.index.textindex import TextIndex
from minilm_onnx.mcpserver.answers import Found, Indexed, Passage, Status
from minilm_onnx.mcpserver.folders import Folders

# A passage as a resource: its source, percent-encoded, and its lines.
TEMPLATE = "minilm-onnx://passages/{source}/{lines}"
_TEMPLATE = UriTemplate.parse(TEMPLATE)
# Names that an answer lists; the model that asks has to read them.
MOST_NAMES = 100
ENDED = (
    "expected a server that is running, got one that ends; what was indexed is kept: call it again "
    "when the server is back"
)


class Library:
    """An index, opened with its encoder when the first tool asks for it.

    Attributes:
        folders: what may be indexed; None for nothing.
    """

    def __init__(
        self, path: Path, load: Callable[[], SentenceEncoder], folders: Folders | None
    ) -> None:
        """Prepare; nothing is opened.

        Args:
            path: the database.
            load: makes the encoder.
            folders: what may be indexed; None for nothing.
        """
        self.folders = folders
        self._path, self._load = path.absolute(), load
        self._lock = threading.Lock()
        self._encoder: SentenceEncoder | None = None
        self._index: TextIndex | None = None
        self._file: tuple[int, int] | None = None
        self._closed = False

    def search(
        self,
        query: str,
        *,
        top_k: int,
        hybrid: bool,
        source: str | Sequence[str] | None,
        where: str | None,
    ) -> Found:
        """Find the passages that answer a question; see `TextIndex.search`."""
        index = self._opened()
        found = index.search(query, top_k=top_k, hybrid=hybrid, source=source, where=where)
        notes = [*_unseen(index.encoder, query), *_notes(index.encoder, found)]
        if not found and where and (unknown := say_unknown(where, index.fields())):
            notes.append(unknown)
        return Found(list(map(_passage, found)), notes)

    def similar(self, uri: str, *, top_k: int) -> Found:
        """Find the passages that are nearest in meaning to one."""
        index = self._opened()
        found = index.similar(*_place(uri), top_k=top_k)
        return Found(list(map(_passage, found)), _notes(index.encoder, found))

    def read(self, source: str, lines: str) -> str:
        """Give the text of a passage; where a long row was split, of all its passages."""
        given = self._opened().passages_at(source, *_numbers(lines))
        return "\n\n".join(passage.text for passage in given)

    def status(self) -> Status:
        """Say what the index is."""
        index = self._opened()
        encoder, sources, fields = index.encoder, index.sources(), index.fields()
        notes = []
        if len(sources) > MOST_NAMES:
            notes.append(f"{MOST_NAMES} of {len(sources)} sources are listed")
        if len(fields) > MOST_NAMES:
            notes.append(f"{MOST_NAMES} of {len(fields)} fields are listed")
        if unfinished := index.unfinished():
            notes.append(
                f"{len(unfinished)} sources were not finished, since a run was stopped: "
                f"{shorten(', '.join(unfinished))}"
            )
        return Status(
            database=str(self._path),
            passages=sum(sources.values()),
            sources=len(sources),
            source_names=list(sources)[:MOST_NAMES],
            fields=fields[:MOST_NAMES],
            storage=index.storage,
            model=encoder.fingerprint,
            max_tokens=encoder.max_seq_length,
            made_by=index.runtimes,
            may_index=list(map(str, self.folders.allowed)) if self.folders else [],
            notes=notes,
        )

    def add(self, paths: Sequence[str]) -> Indexed:
        """Bring the index to the state of files and folders; see `index_paths`.

        Raises:
            InputError: no folder may be indexed, or a path is in none of them.
            MiniLMError: the library was closed meanwhile.
        """
        if self.folders is None:
            raise InputError(
                "index: expected a server that may write, got one that only reads; start it with "
                "--allow-index FOLDER"
            )
        if not paths:
            raise InputError("paths: expected files or folders, got none; name some")
        named = [self.folders.named(path) for path in paths]
        try:
            done = index_paths(self._opened(create=True), named, check=self.folders.check)
        except InputError as error:
            if self._closed:
                raise MiniLMError(ENDED) from error
            raise
        return _indexed(done)

    def close(self) -> None:
        """Close the index, if it was opened; a call of `add` that is at work ends soon."""
        with self._lock:
            self._closed = True
            self._close()

    def _close(self) -> None:
        if self._index is not None:  # an index of no passages is false, and looks into its file
            self._index.close()
        self._index = None

    def _opened(self, *, create: bool = False) -> TextIndex:
        """Give the index, of the file that is there now; what only reads makes none.

        Raises:
            InputError: there is none, or it is not one of this encoder.
            DatabaseError: it cannot be opened.
            MiniLMError: the library was closed.
        """
        with self._lock:
            if self._closed:
                raise MiniLMError(ENDED)
            found = _identity(self._path)
            if found is None or found != self._file:
                self._close()
            if self._index is None:
                if self.folders and not create and not found:
                    raise InputError(
                        f"{self._path}: expected an index, got none, since nothing is indexed yet; "
                        "call the tool index"
                    )
                self._encoder = self._encoder or self._load()
                self._index = TextIndex(self._path, self._encoder, create_file=create)
                # From before it was opened: else one that came meanwhile would go unnoticed.
                self._file = found or _identity(self._path)
            return self._index


def _identity(path: Path) -> tuple[int, int] | None:
    """Tell a file from another that takes its place; None where there is none."""
    if not is_there(path):
        return None
    found = path.stat()
    return found.st_dev, found.st_ino


def _passage(result: Result) -> Passage:
    lines = f"{result.first_line}-{result.last_line}"
    return Passage(
        uri=_TEMPLATE.expand({"source": result.source, "lines": lines}),
        score=result.hybrid.cosine if result.hybrid else result.score,
        source=result.source,
        first_line=result.first_line,
        last_line=result.last_line,
        headings=result.headings,
        text=result.text,
        metadata=dict(result.metadata),
    )


def _place(uri: str) -> tuple[str, int, int]:
    """Give the source and the lines that a passage's address names.

    Raises:
        InputError: it names none.
    """
    parts = _TEMPLATE.match(uri)
    if parts is None:
        raise InputError(
            f"uri: expected a passage as {TEMPLATE}, got {shown(uri)}; take the uri of a result"
        )
    return str(parts["source"]), *_numbers(str(parts["lines"]))


def _numbers(lines: str) -> tuple[int, int]:
    """Read lines such as 12-15.

    Raises:
        InputError: they are none.
    """
    found = re.fullmatch(r"([0-9]{1,15})-([0-9]{1,15})", lines)
    if not found:
        raise InputError(
            f"lines: expected two numbers such as 12-15, got {shown(lines)}; take the uri of a "
            "result"
        )
    return int(found[1]), int(found[2])


def _unseen(encoder: SentenceEncoder, query: str) -> list[str]:
    """Say what the model did not read of a question."""
    (report,) = encoder.inspect([encoder.prompts.get("query", "") + folded(query)])
    notes = []
    if report.cut:
        notes.append(
            f"the query was truncated at {encoder.max_seq_length} of its {report.tokens} tokens"
        )
    if report.unreadable:
        notes.append(
            f"the query is mostly unknown to the model ({report.unknown:.0%} of its tokens): its "
            "results mean little"
        )
    return notes


def _notes(encoder: SentenceEncoder, found: Sequence[Result]) -> list[str]:
    """Say that nothing was found, or which passages the model does not know."""
    if not found:
        return ["no results: there are no passages, or none that fit source and where"]
    texts = [result.text for result in found]
    reports = judged(encoder, texts, encoder.inspect(texts))
    unknown = [
        f"{result.source}:{result.first_line}"
        for result, report in zip(found, reports, strict=True)
        if report.unreadable
    ]
    if not unknown:
        return []
    return [
        f"{len(unknown)} of these are mostly unknown to the model: {shorten(', '.join(unknown))}"
    ]


def _indexed(outcome: Outcome) -> Indexed:
    changes = outcome.changed.values()
    notes = []
    if unreadable := sum(change.unreadable for change in changes):
        notes.append(f"{unreadable} passages are mostly unknown to the model")
    if outcome.others:
        notes.append(f"{outcome.others} files of other kinds were left out")
    if outcome.left_out:
        names = shorten(", ".join(outcome.left_out))
        notes.append(f"{len(outcome.left_out)} files have metadata that was left out: {names}")
    if outcome.links:
        names = shorten(", ".join(outcome.links))
        notes.append(f"{len(outcome.links)} linked folders were left out: {names}")
    for what, count in (("removed", len(outcome.removed)), ("refused", len(outcome.refused))):
        if count > MOST_NAMES:
            notes.append(f"{MOST_NAMES} of {count} that were {what} are listed")
    return Indexed(
        files_indexed=len(changes),
        files_unchanged=outcome.unchanged,
        passages=sum(change.passages for change in changes),
        embedded=sum(change.embedded for change in changes),
        removed=outcome.removed[:MOST_NAMES],
        refused=[str(error) for error in outcome.refused.values()][:MOST_NAMES],
        notes=notes,
    )
