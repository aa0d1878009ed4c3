"""TextIndex: semantic search over one's own texts, in one file.

One class, whose docstrings make it long; what it does is done in the files beside this one.
"""

import hashlib
import json
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from minilm_onnx.arguments import put_before
from minilm_onnx.arrays import FloatArray
from minilm_onnx.checks import check_choice, check_positive
from minilm_onnx.closing import Closing
from minilm_onnx.encoder import SentenceEncoder
from minilm_onnx.errors import InputError, describe, shown
from minilm_onnx.index.changes import (
    Done,
    digest_of,
    remove_sources,
    replace_source,
    set_time,
)
from minilm_onnx.index.contents import (
    StoredPassage,
    Written,
    all_passages,
    count_by_source,
    count_passages,
    staged_sources,
    written_sources,
)
from minilm_onnx.index.filterparsing import parse_filter
from minilm_onnx.index.folding import folded
from minilm_onnx.index.metadata import Described, checked, read_fields, refuse_without
from minilm_onnx.index.passages import Passage, Splitter, judged
from minilm_onnx.index.places import mean_vector, passages_at
from minilm_onnx.index.ranking import MOST_FOUND, check_query, nearest, results, search_both
from minilm_onnx.index.rebuilding import compact, rebuild
from minilm_onnx.index.results import Result
from minilm_onnx.index.schema import Facts, check_facts, read_facts, read_runtimes
from minilm_onnx.index.scope import scope_of
from minilm_onnx.index.storage import Storage
from minilm_onnx.index.store import Store
from minilm_onnx.reading.documents import Document, text_document
from minilm_onnx.text.reports import Tally
from minilm_onnx.text.tokens import check_texts

if TYPE_CHECKING:
    import apsw

# Part of what sources depend on: to be raised when documents are read, split or folded otherwise.
SPLITTING = "passages 3"


@dataclass(frozen=True, slots=True)
class Change:
    """What became of a source.

    Attributes:
        passages: how many it has now.
        embedded: how many of them had to be embedded; the others were known.
        unreadable: how many of these are, by their characters, mostly unknown to the model.
    """

    passages: int
    embedded: int
    unreadable: int


class TextIndex(Closing):
    """A file of texts to search by meaning: sources, their passages and vectors.

    Threads may share an index, and processes may share the file: readers see the state before or
    after a change, never between, and writers wait for each other. Needs
    `pip install '.[search]'`.

    Attributes:
        path: the file.
        encoder: the encoder that makes the vectors.
    """

    def __init__(
        self,
        path: str | Path,
        encoder: SentenceEncoder | None = None,
        *,
        storage: Storage | None = None,
        create_file: bool = True,
        rebuild_vectors: bool = False,
        show_progress_bar: bool = False,
        done: Done = lambda count: None,
    ) -> None:
        """Open an index, or create it if there is none.

        Args:
            path: the file. SQLite keeps two more files beside it during a write.
            encoder: None for an encoder with the bundled model.
            storage: how vectors are stored: "float32", "int8", or "binary", which searches by
                signs and scores the best again by int8. None keeps the storage of an existing
                file; a new one gets "float32".
            create_file: whether to create a missing file.
            rebuild_vectors: whether to embed all passages again if the file has vectors of another
                model or another storage, which is refused otherwise, or of another runtime, whose
                vectors differ in their last bits.
            show_progress_bar: whether to show one during a rebuild, on a terminal.
            done: called during a rebuild with the number of passages embedded since the last call.

        Raises:
            InputError: the file is not an index, or belongs to another encoder, or a package is
                not installed.
            DatabaseError: SQLite cannot open the file.

        Warns:
            UserWarning: the file was copied without its log, and may lack the last changes.
        """
        if not isinstance(path, str | Path) or "\0" in str(path):
            raise InputError(f"path: expected a file's path, got {shown(path)}")
        if storage is not None:
            check_choice("storage", storage, get_args(Storage))
        self.path = Path(path)
        self.encoder = SentenceEncoder() if encoder is None else encoder
        self._lock = threading.Lock()
        self._splitter: tuple[int, Splitter] | None = None
        self._store = Store(self.path, create=create_file)
        try:
            facts = self._open(storage)
            with self._store.reading() as connection:
                others = set(read_runtimes(connection)) - {facts.runtime}
                made_otherwise = read_facts(connection) != facts or bool(others)
            if made_otherwise and rebuild_vectors:
                rebuild(
                    self._store,
                    facts,
                    lambda texts, done: self._embed(texts, Tally(), done),
                    done,
                    show_progress_bar=show_progress_bar,
                )
            self._facts = facts
            self.check()
        except BaseException:
            self._store.close()
            raise

    def add(
        self,
        source: str,
        text: str,
        *,
        markdown: bool = False,
        metadata: Mapping[str, Any] | None = None,
    ) -> Change:
        """Add a text, split into passages that the model reads whole.

        Args:
            source: a name for the text, such as a path or an address; results show it.
            text: a text of any length.
            markdown: whether the text is Markdown. It is then split at headings, passages can be
                found by the headings above them, and front matter becomes metadata.
            metadata: fields to filter by, as a dict of names to texts, numbers, bools, dates, and
                lists and dicts of those. They take precedence over front matter.

        Raises:
            InputError: the index has this source already, or an argument is not as described.
            DatabaseError: SQLite failed; nothing has changed.

        Warns:
            UserWarning: most tokens of some passages are unknown to the model, or the front
                matter is not valid YAML.
        """
        return self._put(source, text, markdown=markdown, metadata=metadata, new=True)

    def update(
        self,
        source: str,
        text: str,
        *,
        markdown: bool = False,
        metadata: Mapping[str, Any] | None = None,
    ) -> Change:
        """Replace the text of a source; see `add`.

        Passages that are in the index already are not embedded again. A source that is not in
        the index is added.
        """
        return self._put(source, text, markdown=markdown, metadata=metadata, new=False)

    def delete(self, *sources: str) -> int:
        """Remove sources from the index.

        Returns:
            How many of them were in the index.

        Raises:
            DatabaseError: SQLite failed; nothing has changed.
        """
        check_texts(sources)
        return remove_sources(self._store, sources)

    def search(
        self,
        query: str,
        *,
        top_k: int = 5,
        hybrid: bool = False,
        source: str | Sequence[str] | None = None,
        where: str | None = None,
    ) -> list[Result]:
        """Find the passages that are nearest to a query in meaning.

        Args:
            query: a question, or any text.
            top_k: maximum number of results, at most 4,096.
            hybrid: whether to combine the ranking by meaning with one by words (BM25). The first
                100 of each are merged by reciprocal rank; the others follow by their better rank.
                Only the first 512 words of a query count.
            source: a pattern such as "notes/*.md", or several; None for any source. One of them
                must match the source of a passage, or a folder that contains it, from the
                beginning of the path or from any folder in it. "*" stands for any text, "?" for
                one character, "." for the current folder.
            where: a filter on metadata, such as "lang = 'en' and year >= 2020", or None;
                docs/search.md explains the syntax. The results are the best of the passages that
                match.

        Returns:
            The results, best first; with equal scores, the passage that was added first.

        Raises:
            InputError: the query is empty or not a str, a number is out of range, or the filter
                is invalid; the message gives the position.
            DatabaseError: SQLite failed.
        """
        if not isinstance(query, str):
            raise InputError(f"query: expected a str, got {describe(query)}")
        check_query(query)
        top_k = check_positive("top_k", top_k, MOST_FOUND)
        patterns = () if source is None else (source,) if isinstance(source, str) else tuple(source)
        check_texts(patterns)
        if source is not None and not all(patterns):
            raise InputError('source: expected a pattern such as "notes/*.md", got an empty one')
        wanted = None if where is None else parse_filter(where)
        vector = self.encoder.encode_query(folded(query), normalize_embeddings=True)
        with self._reading() as connection:
            if wanted is not None:
                refuse_without(connection)
            scope = scope_of(connection, patterns, wanted)
            if hybrid:
                return search_both(connection, self._facts, query, vector, top_k, scope)
            return results(connection, nearest(connection, self._facts, vector, top_k, scope))

    def similar(
        self, source: str, first_line: int, last_line: int, *, top_k: int = 5
    ) -> list[Result]:
        """Find the passages that are nearest in meaning to a given one.

        Args:
            source: the source of the given passage, as in `Result`.
            first_line: its first line, as in `Result`.
            last_line: its last line, as in `Result`. If several passages have the same lines, such
                as those of a long row, their mean is compared.
            top_k: maximum number of results, at most 4,096; the given passages are not included.

        Returns:
            The results, best first; with equal scores, the passage that was added first.

        Raises:
            InputError: there is no such passage, or a number is out of range.
            DatabaseError: SQLite failed.
        """
        top_k = check_positive("top_k", top_k, MOST_FOUND)
        check_texts([source])
        with self._reading() as connection:
            given = passages_at(connection, self._facts, source, first_line, last_line)
            own = {passage.id for passage in given}
            wanted = min(MOST_FOUND, top_k + len(own))
            ranked = nearest(connection, self._facts, mean_vector(given), wanted)
            others = [one for one in ranked if one[0] not in own]
            return results(connection, others[:top_k])

    def passages_at(self, source: str, first_line: int, last_line: int) -> list[StoredPassage]:
        """Return the passages at these lines of a source, in order, with their vectors.

        Raises:
            InputError: there is no passage at these lines.
            DatabaseError: SQLite failed.
        """
        check_texts([source])
        with self._reading() as connection:
            return passages_at(connection, self._facts, source, first_line, last_line)

    def sources(self) -> dict[str, int]:
        """Return the number of passages of each source, sorted by name."""
        with self._reading() as connection:
            return count_by_source(connection)

    def fields(self) -> list[str]:
        """Return the names of the metadata fields that `where` can use, sorted."""
        with self._reading() as connection:
            return read_fields(connection)

    def passages(self) -> Iterator[StoredPassage]:
        """Yield all passages with their vectors, as they are when the first one is read."""
        with self._store.snapshot() as connection:
            check_facts(connection, self._facts, self.path)
            yield from all_passages(connection, self._facts)

    def __len__(self) -> int:
        """Give the number of passages."""
        with self._reading() as connection:
            return count_passages(connection)

    @property
    def storage(self) -> Storage:
        """How vectors are stored."""
        return self._facts.storage

    @property
    def runtimes(self) -> list[str]:
        """The runtimes that made the vectors: `SentenceEncoder.runtime` of each encoder.

        Vectors of different runtimes can be compared, though their last bits differ. "unknown"
        stands for vectors from an earlier version, which did not record it.
        """
        with self._reading() as connection:
            return read_runtimes(connection)

    def unfinished(self) -> list[str]:
        """Return the names of sources whose indexing was interrupted, sorted."""
        with self._reading() as connection:
            return staged_sources(connection)

    def check(self) -> None:
        """Raise InputError if the file or the encoder has changed since the index was opened."""
        with self._reading():
            pass

    def written(self) -> dict[str, Written]:
        """Return what `write` recorded for each source, by name."""
        with self._reading() as connection:
            return written_sources(connection)

    def set_time(self, source: str, modified: str | None) -> None:
        """Record a new modification time of a source's file whose content has not changed."""
        set_time(self._store, self._facts, source, modified)

    def digest(self, *parts: bytes) -> bytes:
        """Return a digest of what passages depend on: the given bytes, and how texts are split."""
        how = f"{SPLITTING} {self.encoder.max_seq_length}"
        return digest_of(how.encode(), *parts)

    def write(
        self,
        source: str,
        documents: Sequence[Document],
        digest: bytes,
        *,
        note: str = "",
        modified: str | None = None,
        new: bool = False,
        done: Callable[[float, int], object] = lambda share, embedded: None,
    ) -> Change:
        """Replace all documents of a source in one step.

        Args:
            source: the name of the source.
            documents: its new documents.
            digest: the result of `digest` for everything that the documents depend on.
            note: a note to store with the source.
            modified: when its file was last changed, as `time_of` returns it; None if the source
                is not a file.
            new: True to refuse a source that the index has already.
            done: called with the share of the work, from 0 to 1, done since the last call, and how
                many passages were embedded for it. The share is negative if the work begins again,
                because another process wrote meanwhile.

        Raises:
            InputError: `new` is True and the index has the source, or the index was rebuilt
                meanwhile.
            DatabaseError: SQLite failed; the source is unchanged.
        """
        self.check()
        splitter = self.splitter()
        passages: list[Passage] = []
        described = []
        for document in documents:
            before = len(passages)
            passages += splitter.split(document)
            described.append(Described(len(passages) - before, document.metadata))
        tally = Tally()

        def embed(texts: Sequence[str]) -> FloatArray:
            return self._embed(texts, tally, lambda count: part(count, count))

        def part(count: int, embedded: int = 0) -> None:
            done(count / max(1, len(passages)), embedded)

        embedded = replace_source(
            self._store,
            self._facts,
            source,
            digest,
            passages,
            embed,
            part,
            note=note,
            new=new,
            described=described,
            modified=modified,
        )
        return Change(len(passages), embedded, tally.unreadable)

    def compact(self) -> None:
        """Free the space of deleted vectors, if that is most of the space of all vectors."""
        compact(self._store, self._facts)

    def splitter(self) -> Splitter:
        """Return the splitter of documents for this encoder."""
        limit = self.encoder.max_seq_length
        with self._lock:
            if self._splitter is None or self._splitter[0] != limit:
                self._splitter = limit, Splitter(self.encoder.tokenizer, limit)
            return self._splitter[1]

    def close(self) -> None:
        """Close the file; the index cannot be used afterwards."""
        self._store.close()

    @contextmanager
    def _reading(self) -> Iterator["apsw.Connection"]:
        if _fingerprint(self.encoder) != self._facts.fingerprint:
            raise InputError(
                f"{self.path}: expected the encoder as it was when the index was opened, got other "
                "prompts or another max_seq_length; open the index again"
            )
        with self._store.reading() as connection:
            check_facts(connection, self._facts, self.path)
            yield connection

    def _open(self, storage: Storage | None) -> Facts:
        """Make an empty file an index; give what the index is to be made of."""
        fingerprint, dimension = _fingerprint(self.encoder), self.encoder.dimension
        runtime = self.encoder.runtime
        with self._store.reading() as connection:
            found = read_facts(connection)
        if found is not None:
            return Facts(fingerprint, storage or found.storage, dimension, runtime)
        facts = Facts(fingerprint, storage or "float32", dimension, runtime)
        if storage == "binary" and dimension % 8:
            raise InputError(
                f"storage: expected a multiple of 8 components for binary, got "
                f"{dimension}; choose int8, or another truncate_dim"
            )
        if self._store.writable:
            self._store.make_index(facts)
        return facts

    def _put(
        self,
        source: str,
        text: str,
        *,
        markdown: bool,
        metadata: Mapping[str, Any] | None,
        new: bool,
    ) -> Change:
        for name, value in (("source", source), ("text", text)):
            if not isinstance(value, str):
                raise InputError(f"{name}: expected a str, got {describe(value)}")
        check_texts([source, text])
        if not source or "\0" in source:
            raise InputError(f"source: expected a name, got {shown(source)}; choose one")
        given = checked(metadata)
        parts = [json.dumps(given).encode()] if given else []
        digest = self.digest(b"markdown" if markdown else b"text", text.encode(), *parts)
        document = text_document(text.replace("\r\n", "\n"), markdown=markdown)
        if document.left_out:
            warnings.warn(f"{source}: metadata without {document.left_out[0]}", stacklevel=3)
        document = replace(document, metadata={**document.metadata, **given})
        change = self.write(source, [document], digest, new=new)
        Tally(change.passages, 0, change.unreadable).warn(self.encoder.max_seq_length, "truncate")
        return change

    def _embed(self, texts: Sequence[str], tally: Tally, done: Done) -> FloatArray:
        before = self.encoder.prompts.get("document", "")
        tokens = self.encoder.tokenize_texts(put_before(before, texts))
        tally.add(judged(self.encoder, texts, tokens.reports))
        return self.encoder.embed_tokens(tokens, done=done)


def _fingerprint(encoder: SentenceEncoder) -> str:
    """Name what the vectors of passages depend on: the encoder, and what it puts before them."""
    before = encoder.prompts.get("document", "")
    prompt = f"+{hashlib.sha256(before.encode()).hexdigest()[:8]}" if before else ""
    return encoder.fingerprint + prompt
