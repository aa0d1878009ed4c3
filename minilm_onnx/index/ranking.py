"""Which passages of an index answer a question: by vectors, by words, and by both."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from minilm_onnx.arrays import Vector
from minilm_onnx.errors import InputError
from minilm_onnx.index.metadata import columns_of, read_metadata
from minilm_onnx.index.results import Hybrid, Result
from minilm_onnx.index.schema import Facts
from minilm_onnx.index.scope import EVERYTHING, Scope
from minilm_onnx.index.sqlite import damaged
from minilm_onnx.index.storage import rescored, stored, typed
from minilm_onnx.index.words import words_of

if TYPE_CHECKING:
    import apsw

# A passage's id and its score; higher is better.
Ranked = tuple[int, float]
# The most that sqlite-vec finds at a time. What bits find is scored again by bytes: always so many,
# since with fewer for fewer results these would not be the first of a longer list.
MOST_FOUND = 4096
# Passages whose vectors are read one by one, at most, and of how many each may be one; for more,
# sqlite-vec is sooner done with reading all that there are.
FEW, OF_EACH = 1000, 100
# Reciprocal rank fusion: what is added to ranks, and how many of each ranking count. Cormack,
# Clarke, Buettcher, https://doi.org/10.1145/1571941.1572114, found 60 and looked no further.
FUSION, FUSED = 60, 100


def check_query(query: str) -> None:
    """Raise InputError if there is nothing to look for."""
    if not query.strip():
        raise InputError("query: expected some words, got an empty text; ask something")


def nearest(
    connection: "apsw.Connection",
    facts: Facts,
    query: Vector,
    top_k: int,
    scope: Scope = EVERYTHING,
) -> list[Ranked]:
    """Find the passages with the highest cosine to a query, the best first.

    Args:
        connection: to the database.
        facts: of it.
        query: (H,) float32, of length 1.
        top_k: passages wanted.
        scope: of the passages that are searched, of which these are the nearest.
    """
    few = _few(connection, scope)
    if facts.storage != "binary":
        if few is None:
            closest = _closest(connection, facts, query, top_k, scope)
        else:
            closest = _compared(connection, facts, query, few)[:top_k]
        return [(passage, 1 - gap) for passage, gap in closest]
    found = few
    if found is None:
        found = [passage for passage, _ in _found(connection, facts, query, MOST_FOUND, scope)]
    return sorted(_rescored(connection, query, found), key=_best_first)[:top_k]


def cosines(
    connection: "apsw.Connection", facts: Facts, query: Vector, passages: Sequence[int]
) -> dict[int, float]:
    """Compare some passages with a query, (H,) float32 of length 1; give their cosines.

    Raises:
        DatabaseError: one of them has no vector.
    """
    if facts.storage == "binary":
        found = dict(_rescored(connection, query, passages))
    else:
        gaps = _compared(connection, facts, query, passages)
        found = {passage: 1 - gap for passage, gap in gaps}
    if len(found) != len(passages):
        raise damaged("a vector")
    return found


def _rescored(
    connection: "apsw.Connection", query: Vector, passages: Sequence[int]
) -> list[Ranked]:
    """Give passages whose vectors are bits, with their cosines by the bytes beside these."""
    marks = ", ".join("?" * len(passages))
    rows: list[Any] = connection.execute(
        f"SELECT id, codes FROM passages WHERE id IN ({marks})", passages
    ).fetchall()
    scores = rescored([codes for _, codes in rows], query).tolist()
    return [(passage, score) for (passage, _), score in zip(rows, scores, strict=True)]


def _few(connection: "apsw.Connection", scope: Scope) -> list[int] | None:
    """Give the passages of a scope, None if they are many."""
    if not scope.sql:
        return None
    last: int = connection.execute("SELECT coalesce(max(id), 0) FROM passages").get
    most = min(FEW, last // OF_EACH)
    rows: list[Any] = connection.execute(
        f"SELECT id FROM passages WHERE {scope.sql} LIMIT :most",
        {"most": most + 1, **scope.parameters},
    ).fetchall()
    return None if len(rows) > most else [passage for (passage,) in rows]


def _compared(
    connection: "apsw.Connection", facts: Facts, query: Vector, passages: Sequence[int]
) -> list[Ranked]:
    """Give passages and their distances as `_closest` does, each of which is read by itself."""
    ((vector, _),) = stored(query[None], facts.storage)
    gap = f"coalesce(vec_distance_cosine(vector, {typed(':vector', facts.storage)}), 1)"
    rows: list[Any] = connection.executemany(
        f"SELECT rowid, {gap} FROM vectors WHERE rowid = :passage",
        [{"vector": vector, "passage": passage} for passage in passages],
    ).fetchall()
    return sorted(rows, key=lambda row: (row[1], row[0]))


def _closest(
    connection: "apsw.Connection", facts: Facts, query: Vector, count: int, scope: Scope
) -> list[Ranked]:
    """Find passages and their distances, the least first, and of equal ones the earlier passage."""
    asked = min(MOST_FOUND, count + 1)
    while True:
        found = _found(connection, facts, query, asked, scope)
        if len(found) < asked or found[-1][1] > found[count - 1][1]:
            return found[:count]
        if asked == MOST_FOUND:  # perhaps not the earliest of those at the last distance
            return _scanned(connection, facts, query, count, scope)
        asked = min(MOST_FOUND, 4 * asked)


def _found(
    connection: "apsw.Connection", facts: Facts, query: Vector, count: int, scope: Scope
) -> list[Ranked]:
    """Find passages by sqlite-vec's index, which of several at the last distance gives any."""
    within, parameters = _within(query, facts, scope)
    rows: list[Any] = connection.execute(
        f"SELECT rowid, distance FROM vectors WHERE vector MATCH {typed(':vector', facts.storage)} "
        f"AND k = :k {within} ORDER BY distance",
        {"k": count, **parameters},
    ).fetchall()
    # Of a vector of length 0, SQLite has no distance.
    gaps = [(passage, 1.0 if gap is None else gap) for passage, gap in rows]
    return sorted(gaps, key=lambda gap: (gap[1], gap[0]))


def _scanned(
    connection: "apsw.Connection", facts: Facts, query: Vector, count: int, scope: Scope
) -> list[Ranked]:
    """Find what `_closest` does, in ten times the time."""
    within, parameters = _within(query, facts, scope)
    vector = typed(":vector", facts.storage)
    rows: list[Any] = connection.execute(
        f"SELECT rowid, coalesce(vec_distance_cosine(vector, {vector}), 1) AS gap FROM vectors "
        f"WHERE true {within} ORDER BY gap, rowid LIMIT :k",
        {"k": count, **parameters},
    ).fetchall()
    return rows


def _within(query: Vector, facts: Facts, scope: Scope) -> tuple[str, dict[str, Any]]:
    """Give the SQL for the vectors that are compared, and its parameters with the query's."""
    ((vector, _),) = stored(query[None], facts.storage)
    # sqlite-vec compares these rows alone, so that the nearest are the nearest of these.
    within = f"AND rowid IN (SELECT id FROM passages WHERE {scope.sql})" if scope.sql else ""
    return within, {"vector": vector, **scope.parameters}


def by_words(
    connection: "apsw.Connection", query: str, top_k: int, scope: Scope = EVERYTHING
) -> list[Ranked]:
    """Find the passages that hold a query's words, by BM25 as SQLite's FTS5 has it.

    Args:
        connection: to the database.
        query: any text; each of its words may be missing. See `words_of`.
        top_k: passages wanted.
        scope: as in `nearest`.
    """
    words = words_of(query)
    if not words:
        return []
    # Once a source or a term, and not for each of its passages.
    within = f"AND ({scope.unindexed})" if scope.sql else ""
    # In this order: SQLite would look for the words anew in each passage of the sources.
    rows: list[Any] = connection.execute(
        "SELECT words.rowid, rank FROM words CROSS JOIN passages ON passages.id = words.rowid "
        f"WHERE words MATCH :words {within} "
        "ORDER BY rank, words.rowid LIMIT :k",
        {"words": " OR ".join(f'"{word}"' for word in words), "k": top_k, **scope.parameters},
    ).fetchall()
    return [(passage, -rank) for passage, rank in rows]


def fused(rankings: Sequence[Sequence[Ranked]], top_k: int) -> list[Ranked]:
    """Join rankings by the sum of 1 / (60 + rank) over their first 100, the best first.

    What comes later in all of them follows by its best rank, so that longer rankings add results
    and change none.
    """
    scores: defaultdict[int, float] = defaultdict(float)
    later: defaultdict[int, float] = defaultdict(float)
    for ranking in rankings:
        for rank, (passage, _) in enumerate(ranking, 1):
            share = 1 / (FUSION + rank)
            if rank <= FUSED:
                scores[passage] += share
            else:
                later[passage] = max(later[passage], share)
    return sorted({**later, **scores}.items(), key=_best_first)[:top_k]


def search_both(
    connection: "apsw.Connection",
    facts: Facts,
    query: str,
    vector: Vector,
    top_k: int,
    scope: Scope = EVERYTHING,
) -> list[Result]:
    """Find passages by meaning and by words, joined by `fused`; the arguments are as above."""
    depth = max(top_k, FUSED)
    by_meaning = nearest(connection, facts, vector, depth, scope)
    with_words = by_words(connection, query, depth, scope)
    ranked = fused([by_meaning, with_words], top_k)
    words = {passage: rank for rank, (passage, _) in enumerate(with_words, 1)}
    meaning = {passage: rank for rank, (passage, _) in enumerate(by_meaning, 1)}
    close = cosines(connection, facts, vector, [passage for passage, _ in ranked])
    return [
        replace(found, hybrid=Hybrid(words.get(passage), meaning.get(passage), close[passage]))
        for (passage, _), found in zip(ranked, results(connection, ranked), strict=True)
    ]


def results(connection: "apsw.Connection", ranked: Sequence[Ranked]) -> list[Result]:
    """Give what is known of passages, in their order.

    Raises:
        DatabaseError: one of them is not there.
    """
    found = []
    columns, join = columns_of(connection)
    for passage, score in ranked:
        row: Any = connection.execute(
            f"SELECT name, first_line, last_line, headings, text, {columns} FROM passages "
            f"JOIN sources ON sources.id = passages.source {join} WHERE passages.id = ?",
            (passage,),
        ).get
        if row is None or list(map(type, row[:-2])) != [str, int, int, str, str]:
            raise damaged("passages")
        source, first, last, headings, text, *described = row
        metadata = read_metadata(*described)
        found.append(Result(score, source, first, last, headings, text, metadata))
    return found


def _best_first(ranked: Ranked) -> tuple[float, int]:
    passage, score = ranked
    return -score, passage
