"""What the tests of an index fill it with, and all that it then says."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minilm_onnx import SentenceEncoder
from minilm_onnx.arrays import FloatArray
from minilm_onnx.index.changes import replace_source
from minilm_onnx.index.metadata import Described
from minilm_onnx.index.passages import Passage
from minilm_onnx.index.storage import Storage
from minilm_onnx.index.textindex import TextIndex
from minilm_onnx.vectors.pooling import l2_normalize

TOPICS = ("refunds", "parcels", "passwords", "opening hours", "gift cards", "cats", "trains")
TEXTS = {
    f"shop/{topic}/{number}.txt": f"What about {topic}? Answer {number} on {topic} says so."
    for topic in TOPICS
    for number in range(9)
}
STORAGES: tuple[Storage, ...] = ("float32", "int8", "binary")


def fill(index: TextIndex) -> None:
    for source, text in TEXTS.items():
        index.add(source, text)


def content(db: Path, encoder: SentenceEncoder, *, finished: bool = True) -> list[tuple[Any, ...]]:
    """All that an index says; its parts agree with each other, and nothing is left over."""
    with TextIndex(db, encoder, create_file=False) as index:
        rows = [(p.source, p.first_line, p.text, p.vector.tobytes()) for p in index.passages()]
        with index._store.reading() as connection:
            (words,) = connection.execute("SELECT count(*) FROM words_docsize").fetchall()
            (vectors,) = connection.execute("SELECT count(*) FROM vectors").fetchall()
            assert words == vectors == (len(rows),)
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            if finished:
                assert connection.execute("SELECT * FROM staged").fetchall() == []
                assert connection.execute("SELECT * FROM rebuilt").fetchall() == []
        with index._store.writing() as connection:
            connection.execute("INSERT INTO words (words) VALUES ('integrity-check')")
        assert sorted({row[0] for row in rows}) <= sorted(index.sources())
    return sorted(rows)


def fill_randomly(index: TextIndex, metadata: Sequence[Mapping[str, Any]]) -> None:
    """Add a passage of random direction for each metadata, ten in a source."""
    random = np.random.default_rng(7)

    def embed(texts: Sequence[str]) -> FloatArray:
        rows = random.standard_normal((len(texts), 384)).astype(np.float32)
        return l2_normalize(rows)

    for first in range(0, len(metadata), 10):
        some = metadata[first : first + 10]
        name = f"source {first}"
        replace_source(
            index._store,
            index._facts,
            name,
            name.encode(),
            [Passage(f"word{number % 3} {first + number}", 1, 1) for number in range(len(some))],
            embed,
            lambda _: None,
            described=[Described(1, one) for one in some],
        )


def without_metadata(connection: Any) -> None:
    """Make of an index one as format 2 wrote it."""
    for index in ("passages_of_document", "documents_of_source", "postings_of_document"):
        connection.execute(f"DROP INDEX {index}")
    for table in ("documents", "terms", "postings"):
        connection.execute(f"DROP TABLE {table}")
    for table, column in (
        ("sources", "modified"),
        ("sources", "moment"),
        ("passages", "document"),
    ):
        connection.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
    connection.execute("PRAGMA user_version = 2")


def other(encoder: SentenceEncoder) -> SentenceEncoder:
    """An encoder of another fingerprint."""
    made = SentenceEncoder(threads=1)
    made.max_seq_length = 128
    assert made.fingerprint != encoder.fingerprint
    return made
