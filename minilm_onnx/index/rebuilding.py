"""All vectors of an index made anew: by another model, in another storage, or in less room."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from minilm_onnx.arrays import FloatArray
from minilm_onnx.errors import DatabaseError, shown
from minilm_onnx.index.changes import CHUNK, Done, Embed
from minilm_onnx.index.contents import check_order, count_passages
from minilm_onnx.index.passages import Passage
from minilm_onnx.index.schema import (
    Facts,
    check_facts,
    make_vectors,
    update_format,
    write_runtimes,
)
from minilm_onnx.index.sqlite import fetch
from minilm_onnx.index.storage import stored, typed
from minilm_onnx.index.store import Store
from minilm_onnx.progress import named_bar

if TYPE_CHECKING:
    import apsw

# The largest chunk that vectors lie in, which is kept until its last one goes.
CHUNK_OF_VECTORS = 1024
REBUILDING = "rebuilding"
# Passages that are to be embedded again, beyond one.
MISSING = (
    "FROM passages "
    "LEFT JOIN rebuilt ON rebuilt.id = passages.id AND rebuilt.digest = passages.digest "
    "WHERE rebuilt.id IS NULL AND passages.id > ?"
)


def rebuild(
    store: Store,
    facts: Facts,
    embed: Callable[[Sequence[str], Done], FloatArray],
    done: Done,
    *,
    show_progress_bar: bool = False,
) -> None:
    """Embed every passage again, then replace all vectors at once.

    Args:
        store: the database.
        facts: what it is to be made of.
        embed: gives (N, H) float32 of N texts, and calls a function with how many are done since.
        done: called with the number of passages embedded again since.
        show_progress_bar: whether to show one, on a terminal.

    Raises:
        DatabaseError: SQLite failed.
    """
    goal = f"{facts.fingerprint} {facts.storage} by {facts.runtime}"
    with store.writing() as connection:
        if _goal(connection) != goal:
            connection.execute("DELETE FROM rebuilt")
            connection.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (REBUILDING, goal))
    with store.reading() as connection:
        left = connection.execute(f"SELECT count(*) {MISSING}", (0,)).get
    with named_bar("rebuild", left, show=show_progress_bar) as update:
        _rebuild(store, facts, goal, lambda texts: embed(texts, update), done)


def _rebuild(store: Store, facts: Facts, goal: str, embed: Embed, done: Done) -> None:
    missing = (
        "SELECT passages.id, passages.digest, passages.headings, passages.text "
        f"{MISSING} ORDER BY passages.id LIMIT ?"
    )

    def check_goal(connection: "apsw.Connection") -> None:
        found = _goal(connection)
        if found != goal:
            raise DatabaseError(
                f"{store.path}: expected to rebuild it for {goal}, got another process that "
                f"has rebuilt it, or is doing so, for {shown(found)}; run one at a time"
            )

    last = 0
    while True:
        with store.reading() as connection:
            cursor = connection.execute(missing, (last, CHUNK))
            rows = fetch(cursor, "passages", int, bytes, str, str)
            check_order([row[0] for row in rows], last)
        if rows:
            vectors = embed([Passage(text, 0, 0, headings).embedded for *_, headings, text in rows])
            kept = zip(rows, stored(vectors, facts.storage), strict=True)
            with store.writing() as connection:
                check_goal(connection)
                connection.executemany(
                    "INSERT OR REPLACE INTO rebuilt VALUES (?, ?, ?, ?)",
                    [(row[0], row[1], vector, codes) for row, (vector, codes) in kept],
                )
            last = rows[-1][0]
            done(len(rows))
            continue
        last = 0
        with store.writing() as connection:
            check_goal(connection)
            if not connection.execute(missing, (0, 1)).fetchall():
                update_format(connection)
                _swap_vectors(connection, facts)
                write_runtimes(connection, [facts.runtime])
                connection.execute("DELETE FROM facts WHERE name = ?", (REBUILDING,))
                connection.execute("DELETE FROM staged")
                return


def compact(store: Store, facts: Facts) -> None:
    """Give back the room of vectors that went, where it is most of what they take."""
    with store.writing() as connection:
        check_facts(connection, facts, store.path)
        room = connection.execute("SELECT total(size) FROM vectors_chunks").get
        count = count_passages(connection)
        if _goal(connection) is not None or room <= 4 * count + CHUNK_OF_VECTORS:
            return
        connection.execute("DELETE FROM rebuilt")
        connection.execute(
            "INSERT INTO rebuilt SELECT id, digest, vector, codes FROM passages "
            "JOIN vectors ON vectors.rowid = passages.id"
        )
        _swap_vectors(connection, facts)


def _goal(connection: "apsw.Connection") -> Any:
    """Give what an index is being rebuilt for, None for nothing."""
    return connection.execute("SELECT value FROM facts WHERE name = ?", (REBUILDING,)).get


def _swap_vectors(connection: "apsw.Connection", facts: Facts) -> None:
    """Put the rebuilt vectors in the place of all others."""
    make_vectors(connection, facts)
    connection.execute(
        f"INSERT INTO vectors (rowid, vector) SELECT rebuilt.id, "
        f"{typed('rebuilt.vector', facts.storage)} FROM rebuilt "
        "JOIN passages ON passages.id = rebuilt.id ORDER BY rebuilt.id"
    )
    connection.execute(
        "UPDATE passages SET codes = (SELECT codes FROM rebuilt WHERE rebuilt.id = passages.id)"
    )
    connection.execute("DELETE FROM rebuilt")
