"""Changes to an index: passages are staged as they are embedded, then replace a source at once.

However a process ends, a source is in the index as it was or as it is to be. What was staged stays,
and is not embedded again when the same source comes back.
"""

import hashlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from minilm_onnx.arrays import FloatArray
from minilm_onnx.errors import InputError, shorten
from minilm_onnx.index.metadata import Described, note_time, remove_metadata, write_metadata
from minilm_onnx.index.passages import Passage
from minilm_onnx.index.schema import Facts, check_facts, note_runtime, update_format
from minilm_onnx.index.sqlite import damaged
from minilm_onnx.index.storage import stored, typed
from minilm_onnx.index.store import Store
from minilm_onnx.index.words import write_words

if TYPE_CHECKING:
    import apsw

Embed = Callable[[Sequence[str]], FloatArray]
Done = Callable[[int], object]
# Passages that are embedded together; no more are lost when a process is killed.
CHUNK = 256
# How often to begin again because another process cleared what was staged; more is no coincidence.
TRIES = 100


def digest_of(*parts: bytes) -> bytes:
    """Give a sha256 of some bytes that tells where each of them ends."""
    hashed = hashlib.sha256()
    for part in parts:
        hashed.update(len(part).to_bytes(8, "little") + part)
    return hashed.digest()


def replace_source(
    store: Store,
    facts: Facts,
    name: str,
    digest: bytes,
    passages: Sequence[Passage],
    embed: Embed,
    done: Done,
    *,
    note: str = "",
    new: bool = False,
    described: Sequence[Described] = (),
    modified: str | None = None,
) -> int:
    """Put a source's passages in the place of those it had.

    Args:
        store: the database.
        facts: what its vectors must be.
        name: of the source.
        digest: of all that its passages depend on.
        passages: what it is to have.
        embed: gives (N, H) float32 of N texts.
        done: called with the number of passages that are dealt with since, but for those that are
            embedded: `embed` sees them.
        note: to be kept with the source.
        new: whether the index must not have the source yet.
        described: what the passages say of themselves, one after the other.
        modified: when the file was changed, as `time_of` gives it; None of what is no file.

    Returns:
        How many passages had to be embedded; others were known.

    Raises:
        InputError: the index is made of something else, or has the source where it must not.
        DatabaseError: SQLite failed.
    """
    key = digest_of(facts.fingerprint.encode(), facts.storage.encode(), name.encode(), digest)
    embedded = 0
    for _ in range(TRIES):
        # The last chunk is staged with the change itself: a small source is one transaction.
        last = max(0, (len(passages) - 1) // CHUNK * CHUNK)
        if new:
            with store.reading() as connection:
                _refuse_known(connection, name)
        for first in range(0, last, CHUNK):
            rows, fresh = _rows(store, facts, name, key, first, passages, embed)
            with store.writing() as connection:
                check_facts(connection, facts, store.path)
                _stage(connection, facts, rows, fresh)
            embedded += fresh
            done(CHUNK - fresh)
        rows, fresh = _rows(store, facts, name, key, last, passages, embed)
        embedded += fresh
        with store.writing() as connection:
            check_facts(connection, facts, store.path)
            known = connection.execute("SELECT digest FROM sources WHERE name = ?", (name,)).get
            if new:
                _refuse_known(connection, name)
            _stage(connection, facts, rows, fresh)
            # Of an earlier run that read it otherwise.
            beyond = "DELETE FROM staged WHERE key = ? AND position >= ?"
            connection.execute(beyond, (key, len(passages)))
            count = connection.execute("SELECT count(*) FROM staged WHERE key = ?", (key,)).get
            # Fewer: another process has put this source in its place, and cleared what was staged.
            if known == digest or count == len(passages):
                if known != digest:
                    _publish(connection, facts, (name, digest, note), key, described)
                    note_time(connection, name, modified)
                connection.execute("DELETE FROM staged WHERE source = ?", (name,))
                done(len(passages) - last - fresh)
                return embedded
        done(-last - fresh)  # all once more
    raise damaged("staged passages")


def _refuse_known(connection: "apsw.Connection", name: str) -> None:
    if connection.execute("SELECT 1 FROM sources WHERE name = ?", (name,)).fetchall():
        raise InputError(
            f"{shorten(name)}: expected a source that the index does not have, got one that it "
            "has; update it instead"
        )


def remove_sources(store: Store, names: Sequence[str]) -> int:
    """Take sources out of the index, with what is staged of them.

    Returns:
        How many of them were there.
    """
    with store.writing() as connection:
        found = sum(_remove(connection, name) for name in names)
        for name in names:
            connection.execute("DELETE FROM staged WHERE source = ?", (name,))
    return found


def set_time(store: Store, facts: Facts, name: str, modified: str | None) -> None:
    """Note when a source's file was changed, though its content was not."""
    with store.writing() as connection:
        check_facts(connection, facts, store.path)
        update_format(connection)
        note_time(connection, name, modified)


def _rows(
    store: Store,
    facts: Facts,
    name: str,
    key: bytes,
    first: int,
    passages: Sequence[Passage],
    embed: Embed,
) -> tuple[list[tuple[Any, ...]], int]:
    """Make the rows to stage of a chunk, without those that are; and count the new vectors."""
    chunk = dict(enumerate(passages[first : first + CHUNK], first))
    digests = {place: _digest(passage) for place, passage in chunk.items()}
    known: dict[bytes, tuple[bytes, bytes | None]] = {}
    with store.reading() as connection:
        check_facts(connection, facts, store.path)
        staged: list[Any] = connection.execute(
            "SELECT position, digest, headings, text, first_line, last_line FROM staged "
            "WHERE key = ? AND position BETWEEN ? AND ?",
            (key, first, first + CHUNK - 1),
        ).fetchall()
        for place, digest, *columns in staged:
            if digests.get(place) == digest and _columns(chunk[place]) == tuple(columns):
                del chunk[place]  # else it was read otherwise then
        for digest in {digests[place] for place in chunk}:
            found: Any = connection.execute(
                "SELECT vectors.vector, passages.codes FROM passages "
                "JOIN vectors ON vectors.rowid = passages.id WHERE passages.digest = ? LIMIT 1",
                (digest,),
            ).fetchall()
            if not found:  # what is staged is by the same encoder: see check_facts
                found = connection.execute(
                    "SELECT vector, codes FROM staged WHERE digest = ? LIMIT 1", (digest,)
                ).fetchall()
            if found:
                known[digest] = found[0]
    texts = {
        digests[place]: passage.embedded
        for place, passage in chunk.items()
        if digests[place] not in known
    }
    if texts:
        vectors = embed(list(texts.values()))
        known |= zip(texts, stored(vectors, facts.storage), strict=True)
    rows = [
        (key, place, name, *_columns(passage), digests[place], *known[digests[place]])
        for place, passage in chunk.items()
    ]
    return rows, len(texts)


def _columns(passage: Passage) -> tuple[str, str, int, int]:
    return passage.headings, passage.text, passage.first_line, passage.last_line


def _digest(passage: Passage) -> bytes:
    """Name what a vector is made of."""
    return hashlib.sha256(passage.embedded.encode()).digest()[:16]


def _stage(
    connection: "apsw.Connection", facts: Facts, rows: Sequence[tuple[Any, ...]], fresh: int
) -> None:
    """Keep rows until their source has all of its own; note what made vectors, if any are new."""
    connection.executemany(
        "INSERT OR REPLACE INTO staged VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows
    )
    if fresh:
        note_runtime(connection, facts.runtime)


def _publish(
    connection: "apsw.Connection",
    facts: Facts,
    source: tuple[str, bytes, str],
    key: bytes,
    described: Sequence[Described],
) -> None:
    """Put what is staged in the place of what the source had."""
    _remove(connection, source[0])
    connection.execute("INSERT INTO sources (name, digest, note) VALUES (?, ?, ?)", source)
    number = connection.last_insert_rowid()
    first = connection.execute("SELECT coalesce(max(id), 0) + 1 FROM passages").get
    connection.execute(
        "INSERT INTO passages SELECT ? + position, ?, headings, text, first_line, last_line, "
        "digest, codes, 0 FROM staged WHERE key = ? ORDER BY position",
        (first, number, key),
    )
    connection.execute(
        f"INSERT INTO vectors (rowid, vector) SELECT ? + position, {typed('vector', facts.storage)}"
        " FROM staged WHERE key = ? ORDER BY position",
        (first, key),
    )
    write_words(connection, "source = ?", number)
    write_metadata(connection, number, first, described)


def _remove(connection: "apsw.Connection", name: str) -> bool:
    """Take a source out; give whether it was there."""
    update_format(connection)
    source = connection.execute("SELECT id FROM sources WHERE name = ?", (name,)).get
    if source is None:
        return False
    passages = connection.execute("SELECT id FROM passages WHERE source = ?", (source,)).fetchall()
    # One by one: for a subquery sqlite-vec would look at all there are.
    connection.executemany("DELETE FROM vectors WHERE rowid = ?", passages)
    connection.executemany("DELETE FROM words WHERE rowid = ?", passages)
    connection.execute("DELETE FROM passages WHERE source = ?", (source,))
    remove_metadata(connection, source)
    connection.execute("DELETE FROM sources WHERE id = ?", (source,))
    return True
