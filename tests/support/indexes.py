"""What the tests of an index fill it with, and all that it then says."""

from pathlib import Path
from typing import Any

from minilm_onnx import SentenceEncoder
from minilm_onnx.index.storage import Storage
from minilm_onnx.index.textindex import TextIndex

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


def other(encoder: SentenceEncoder) -> SentenceEncoder:
    """An encoder of another fingerprint."""
    made = SentenceEncoder(threads=1)
    made.max_seq_length = 128
    assert made.fingerprint != encoder.fingerprint
    return made
