"""TextIndex: finds what brute force finds, and loses nothing whoever writes and whatever ends."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minilm_onnx import DatabaseError, InputError, MiniLMError, SentenceEncoder
from minilm_onnx.index import changes, rebuilding
from minilm_onnx.index.passages import Passage
from minilm_onnx.index.ranking import fused
from minilm_onnx.index.storage import Storage, stored, unstored
from minilm_onnx.index.textindex import TextIndex
from tests.conftest import documented

apsw = pytest.importorskip("apsw", reason="minilm-onnx[search] is not installed")
pytest.importorskip("sqlite_vec", reason="minilm-onnx[search] is not installed")
pytest.importorskip("semantic_text_splitter", reason="minilm-onnx[search] is not installed")

TOPICS = ("refunds", "parcels", "passwords", "opening hours", "gift cards", "cats", "trains")
TEXTS = {
    f"shop/{topic}/{number}.txt": f"What about {topic}? Answer {number} on {topic} says so."
    for topic in TOPICS
    for number in range(9)
}
STORAGES: tuple[Storage, ...] = ("float32", "int8", "binary")


@pytest.fixture
def db(tmp_path: Path) -> Path:
    return tmp_path / "texts.db"


@pytest.fixture
def index(db: Path, encoder: SentenceEncoder) -> Iterator[TextIndex]:
    with TextIndex(db, encoder) as made:
        yield made


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


@pytest.mark.parametrize("storage", STORAGES)
def test_search_finds_what_brute_force_finds(
    db: Path, encoder: SentenceEncoder, storage: Storage
) -> None:
    with TextIndex(db, encoder, storage=storage) as index:
        fill(index)
        vectors = encoder.encode(list(TEXTS.values()))
        for query in ("may I send it back?", "cat food", "when are you open"):
            scores = vectors @ encoder.encode(query)
            order = np.argsort(-scores, kind="stable")[:5]
            found = index.search(query, top_k=5)
            if storage == "float32":
                assert [result.source for result in found] == [list(TEXTS)[i] for i in order]
            np.testing.assert_allclose(
                [result.score for result in found], scores[order], atol=0.005
            )
            assert all(TEXTS[result.source] == result.text for result in found)
        assert index.storage == storage


@pytest.mark.parametrize("storage", STORAGES)
def test_vectors_come_back_as_they_are_kept(
    db: Path, encoder: SentenceEncoder, storage: Storage
) -> None:
    with TextIndex(db, encoder, storage=storage) as index:
        fill(index)
        found = {passage.source: passage.vector for passage in index.passages()}
    exact = encoder.encode(list(TEXTS.values()))
    back = np.stack([found[source] for source in TEXTS])
    assert back.dtype == np.float32
    if storage == "float32":
        assert np.array_equal(back, exact)
    assert (back * exact).sum(axis=1).min() > 0.9995
    assert np.abs(np.linalg.norm(back, axis=1) - 1).max() < 1e-5
    ((kept, codes),) = stored(np.zeros((1, 384), dtype=np.float32), storage)
    assert np.array_equal(unstored(kept, codes, storage), np.zeros(384, dtype=np.float32))


def test_sources_are_added_once_updated_and_deleted(index: TextIndex) -> None:
    assert index.add("a", "one cat").embedded == 1
    with pytest.raises(InputError, match="a: expected a source that the index does not have"):
        index.add("a", "another")
    assert index.search("cat")[0].text == "one cat"
    assert index.update("a", "one dog").passages == 1
    index.update("b", "a train")
    assert [result.text for result in index.search("cat")] == ["one dog", "a train"]
    assert index.sources() == {"a": 1, "b": 1}
    assert index.delete("a", "c") == 1
    assert index.sources() == {"b": 1}
    assert len(index) == 1
    assert index.delete() == 0
    index.update("b", " ")
    assert index.sources() == {"b": 0}
    assert index.search("train") == []


def test_only_new_passages_are_embedded(index: TextIndex) -> None:
    parts = [f"Part {n} is about {TOPICS[n % 7]}. " + "It goes on a while. " * 30 for n in range(8)]
    first = index.add("a", "\n\n".join(parts))
    assert first.embedded == first.passages == 8
    parts[3] = "A new part about ships. " + "It goes on a while. " * 30
    assert index.update("a", "\n\n".join(parts)).embedded == 1
    assert index.add("moved", "\n\n".join(parts)).embedded == 0
    assert index.search("ships", top_k=1)[0].text.startswith("A new part about ships.")


def test_a_hybrid_search_finds_a_word_that_vectors_overlook(index: TextIndex) -> None:
    fill(index)
    index.add("codes", "Error XK9931 means that the tank is empty.")
    assert index.search("XK9931", top_k=1, hybrid=True)[0].source == "codes"
    assert index.search('"; DROP * AND (NEAR', hybrid=True)
    assert index.search("???", hybrid=True)


def test_ranks_are_fused_by_their_reciprocals() -> None:
    found = fused([[(1, 0.9), (2, 0.8), (3, 0.7)], [(3, 5.0), (4, 4.0)]], 3)
    assert found == [(3, 1 / 63 + 1 / 61), (1, 1 / 61), (2, 1 / 62)]


@pytest.mark.parametrize("hybrid", [False, True])
def test_sources_can_be_chosen(index: TextIndex, hybrid: bool) -> None:
    fill(index)
    for pattern, part in (
        ("shop/cats/*", "shop/cats/"),
        ("cats/*", "shop/cats/"),
        ("*/3.txt", "/3.txt"),
        ("shop/trains/1.txt", "shop/trains/1.txt"),
    ):
        found = index.search("refunds", hybrid=hybrid, source=pattern, top_k=50)
        expected = [source for source in TEXTS if part in source]
        assert sorted(result.source for result in found) == sorted(expected)
    assert index.search("refunds", hybrid=hybrid, source="nowhere/*") == []
    both = index.search("refunds", hybrid=hybrid, source=["cats", "./*/3.txt"], top_k=50)
    assert len({result.source for result in both}) == 9 + 6


def test_headings_help_to_find_and_are_given(index: TextIndex) -> None:
    index.add(
        "m.md", "# Trains\n\nThey leave at nine.\n\n# Boats\n\nThey leave at ten.", markdown=True
    )
    (best,) = index.search("when do boats leave", top_k=1)
    assert (best.headings, best.text, best.first_line) == ("Boats", "They leave at ten.", 7)
    (best,) = index.search("boats", top_k=1, hybrid=True)
    assert best.text == "They leave at ten."


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda i: i.search(""), "empty"),
        (lambda i: i.search(" \n"), "empty"),
        (lambda i: i.search(3), "int 3"),
        (lambda i: i.search("x", top_k=0), "top_k"),
        (lambda i: i.search("x", top_k=5000), "at most 4096"),
        (lambda i: i.search("\ud800"), "surrogate"),
        (lambda i: i.search("x", source="\ud800"), "surrogate"),
        (lambda i: i.search("x", source=""), "source"),
        (lambda i: i.add("", "x"), "source"),
        (lambda i: i.add("a\0b", "x"), "source"),
        (lambda i: i.add("a", None), "None"),
        (lambda i: i.add(1, "x"), "int 1"),
        (lambda i: i.add("a", "\udc00"), "surrogate"),
        (lambda i: i.delete(3), "int 3"),
    ],
)
def test_wrong_arguments_are_refused(
    index: TextIndex, call: Callable[[TextIndex], object], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        call(index)
    assert len(index) == 0


def test_texts_with_anything_in_them_come_back(index: TextIndex) -> None:
    for number, text in enumerate(
        ["a\0b", "' OR 1=1 --", "🎉 \u202e rtl", "%s {x} \\", "x" * 5000]
    ):
        index.add(f"{number}", text)
        assert index.search(text, top_k=9, hybrid=True)
    assert sorted(p.text for p in index.passages())[0] == "%s {x} \\"


def other(encoder: SentenceEncoder) -> SentenceEncoder:
    """An encoder of another fingerprint."""
    made = SentenceEncoder(threads=1)
    made.max_seq_length = 128
    assert made.fingerprint != encoder.fingerprint
    return made


def test_another_encoders_index_is_refused_with_both_named_and_rebuilt(
    db: Path, index: TextIndex, encoder: SentenceEncoder
) -> None:
    fill(index)
    second = other(encoder)
    with pytest.raises(InputError) as caught:
        TextIndex(db, second)
    assert encoder.fingerprint in str(caught.value)
    assert second.fingerprint in str(caught.value)
    assert "--rebuild" in str(caught.value)
    counted: list[int] = []
    with TextIndex(db, second, rebuild_vectors=True, done=counted.append) as rebuilt:
        assert sum(counted) == len(TEXTS)
        assert rebuilt.search("cats", top_k=1)[0].source.startswith("shop/cats/")
        with pytest.raises(InputError, match="expected an index by"):
            index.search("cats")  # the first sees that it is no longer its own
        with pytest.raises(InputError, match="expected an index by"):
            index.add("new", "text")
        assert len(rebuilt) == len(TEXTS)


@pytest.mark.parametrize("before", STORAGES)
@pytest.mark.parametrize("after", STORAGES)
def test_storage_is_changed_by_rebuilding_only(
    db: Path, encoder: SentenceEncoder, before: Storage, after: Storage
) -> None:
    with TextIndex(db, encoder, storage=before) as index:
        fill(index)
    if before != after:
        with pytest.raises(InputError, match=f"kept as {after}, got an index of {before}"):
            TextIndex(db, encoder, storage=after)
    with TextIndex(db, encoder) as index:
        assert index.storage == before
    TextIndex(db, encoder, storage=after, rebuild_vectors=True).close()
    fresh = db.with_name("fresh.db")
    with TextIndex(fresh, encoder, storage=after) as index:
        fill(index)
    assert content(db, encoder) == content(fresh, encoder)


def test_what_is_no_index_is_refused(tmp_path: Path, encoder: SentenceEncoder) -> None:
    text = tmp_path / "text.txt"
    text.write_text("no database, but long enough to look like one" * 99)
    foreign = tmp_path / "foreign.db"
    apsw.Connection(str(foreign)).execute("CREATE TABLE theirs (x)")
    newer = tmp_path / "newer.db"
    TextIndex(newer, encoder).close()
    apsw.Connection(str(newer)).execute("PRAGMA user_version = 9")
    before = {path: path.read_bytes() for path in (text, foreign, newer)}
    for path, words in (
        (text, "a file that is none"),
        (foreign, "another program's"),
        (newer, "format 1, got 9"),
        (tmp_path, "a folder"),
        (tmp_path / "no" / "folder.db", "cannot be opened"),
        (tmp_path / ("x" * 300), "a path to look at"),
        ("caf\udce9.db", "UTF-8"),
        ("a\0b", "path"),
        (3, "path"),
    ):
        with pytest.raises(InputError, match=words):
            TextIndex(path, encoder)  # type: ignore[arg-type]  # some are wrong on purpose
    with pytest.raises(InputError, match="got none"):
        TextIndex(tmp_path / "absent.db", encoder, create_file=False)
    assert not (tmp_path / "absent.db").exists()
    (tmp_path / "empty.db").touch()
    with pytest.raises(InputError, match="an empty file"):
        TextIndex(tmp_path / "empty.db", encoder, create_file=False)
    assert (tmp_path / "empty.db").stat().st_size == 0
    assert before == {path: path.read_bytes() for path in before}


def test_a_damaged_index_is_an_error_in_words(db: Path, encoder: SentenceEncoder) -> None:
    with TextIndex(db, encoder) as index:
        fill(index)
    data = bytearray(db.read_bytes())
    for start in range(8192, len(data), 4096):
        data[start : start + 2000] = b"\xff" * 2000
    db.write_bytes(data)
    with pytest.raises(MiniLMError) as caught:
        content(db, encoder)
    assert "damaged" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_cut_index_is_an_error_in_words(db: Path, encoder: SentenceEncoder) -> None:
    with TextIndex(db, encoder) as index:
        fill(index)
    os.truncate(db, 4096 * 3)
    with pytest.raises(MiniLMError), TextIndex(db, encoder) as index:
        index.search("cats", hybrid=True)


def test_a_locked_index_can_be_read_and_says_so_to_writers(
    db: Path, index: TextIndex, monkeypatch: pytest.MonkeyPatch, encoder: SentenceEncoder
) -> None:
    fill(index)
    monkeypatch.setattr("minilm_onnx.index.sqlite.PATIENCE_MS", 50)
    holder = apsw.Connection(str(db))
    holder.execute("BEGIN IMMEDIATE")
    with TextIndex(db, encoder) as second:
        assert second.search("cats")
        with pytest.raises(DatabaseError, match="another process has locked"):
            second.add("new", "text")
        holder.execute("ROLLBACK")
        second.add("new", "text")


def test_a_full_disk_loses_nothing(db: Path, index: TextIndex, encoder: SentenceEncoder) -> None:
    fill(index)
    before = content(db, encoder)
    with index._store.reading() as connection:
        pages = connection.execute("PRAGMA page_count").get
    connection.execute(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(DatabaseError, match="full disk"):
        index.add("long", "\n\n".join(f"Text {n} " + "and so on. " * 60 for n in range(400)))
    connection.execute("PRAGMA max_page_count = 1000000")
    assert content(db, encoder) == before
    assert index.add("long", "some words").passages == 1


def test_a_closed_index_says_so(index: TextIndex) -> None:
    index.close()
    with pytest.raises(InputError, match="closed"):
        index.search("x")


@pytest.mark.skipif(os.name != "posix", reason="permissions as on Linux")
def test_an_index_is_searched_where_nothing_can_be_written(
    db: Path, encoder: SentenceEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with TextIndex(db, encoder) as index:
        fill(index)
    assert list(db.parent.iterdir()) == [db]
    monkeypatch.setattr("minilm_onnx.index.store.can_write", lambda path: False)  # root may always
    with TextIndex(db, encoder) as index:
        assert index.search("cats", top_k=1)[0].source.startswith("shop/cats/")
        assert index.search("cats", top_k=1, hybrid=True)
        with pytest.raises(DatabaseError, match="may only be read"):
            index.add("new", "text")


@pytest.mark.skipif(os.name != "posix", reason="permissions as on Linux")
def test_who_may_only_read_sees_what_another_writes(
    db: Path, index: TextIndex, encoder: SentenceEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(index)
    monkeypatch.setattr("minilm_onnx.index.store.can_write", lambda path: False)
    with TextIndex(db, encoder) as reader:
        assert len(reader) == len(TEXTS)
        index.add("new", "some words")
        assert len(reader) == len(TEXTS) + 1


def test_threads_may_share_an_index(index: TextIndex) -> None:
    def work(number: int) -> int:
        name = f"thread {number % 4}"
        index.update(name, f"Text {number} about {TOPICS[number % 7]}.")
        found = index.search(TOPICS[number % 7], top_k=3, hybrid=number % 2 == 0)
        return len(found)

    with ThreadPoolExecutor(8) as pool:
        assert min(pool.map(work, range(60))) >= 1
    assert index.sources() == {f"thread {number}": 1 for number in range(4)}


def test_threads_that_ended_leave_no_connection(index: TextIndex) -> None:
    for _ in range(5):
        thread = threading.Thread(target=lambda: len(index))
        thread.start()
        thread.join()
    assert len(index._store._connections) <= 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_process_has_a_connection_of_its_own(db: Path, index: TextIndex) -> None:
    index.add("parent", "a cat")
    connections = list(index._store._connections.values())
    child = os.fork()
    if child == 0:
        code = 1
        try:
            index.add("child", "a dog")
            own = [one for one in index._store._connections.values() if one not in connections]
            code = 0 if len(index.search("dog")) == 2 and len(own) == 1 else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert index.sources() == {"child": 1, "parent": 1}


WRITER = """
import sys
from minilm_onnx import SentenceEncoder
from minilm_onnx.index.textindex import TextIndex
encoder = SentenceEncoder(threads=1)
with TextIndex(sys.argv[1], encoder) as index:
    for number in range(12):
        index.update(f"{sys.argv[2]} {number}", f"Text {number} by {sys.argv[2]}.")
        parts = (f"Version {number} of part {n}." * 40 for n in range(4))
        index.update("common", "\\n\\n".join(parts))
        assert len(index.search("text", top_k=3, hybrid=True)) == 3
"""


def test_processes_may_share_an_index(db: Path, encoder: SentenceEncoder) -> None:
    names = ("one", "two", "three")
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, db, name], stderr=subprocess.PIPE, text=True
        )
        for name in names
    ]
    for writer in writers:
        _, said = writer.communicate()
        assert writer.returncode == 0, said
    rows = content(db, encoder)
    expected = {f"{name} {number}" for name in names for number in range(12)} | {"common"}
    assert {row[0] for row in rows} == expected
    common = [row[2] for row in rows if row[0] == "common"]
    assert len({text.split(" of ")[0] for text in common}) == 1  # of one version


LONG = "\n\n".join(f"Part {n} is about it. " + "It goes on a while. " * 30 for n in range(8))
STEPS = (
    (changes, "_stage"),
    (changes, "_publish"),
    (changes, "_remove"),
    (rebuilding, "_swap_vectors"),
)


def change_all(db: Path, encoder: SentenceEncoder) -> None:
    """Every kind of change, in more than one step each."""
    with TextIndex(db, encoder) as index:
        index.update("a", "what was there")
        index.update("a", LONG)
        index.update("b", LONG[:2500])
        index.delete("b")
    TextIndex(db, encoder, storage="int8", rebuild_vectors=True).close()


def run_until(db: Path, encoder: SentenceEncoder, last: int) -> bool:
    """Do all that in another process, which is gone at a step; give whether it came to the end."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    steps = iter(range(1, 1000))

    def ending(function: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object) -> object:
            if next(steps) == last:
                os._exit(9)
            return function(*arguments)

        return call

    code = 9
    patch = pytest.MonkeyPatch()  # the process ends with it
    try:
        for module, name in STEPS:
            patch.setattr(module, name, ending(getattr(module, name)))
        for module in (changes, rebuilding):
            patch.setattr(module, "CHUNK", 3)
        change_all(db, encoder)
        code = 0
    finally:
        os._exit(code)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_process_killed_at_any_step_loses_and_doubles_nothing(
    tmp_path: Path, encoder: SentenceEncoder
) -> None:
    whole = tmp_path / "whole.db"
    change_all(whole, encoder)
    expected = content(whole, encoder)
    sizes = set()
    for step in range(1, 100):
        db = tmp_path / f"{step}.db"
        if run_until(db, encoder, step):
            break
        rows = content(db, encoder, finished=False)
        for source in "ab":
            sizes.add((source, sum(row[0] == source for row in rows)))
        change_all(db, encoder)
        assert content(db, encoder) == expected
    assert step > 12
    # All of a source or nothing of it; "b" has four passages for a moment.
    assert sizes == {("a", 0), ("a", 1), ("a", 8), ("b", 0), ("b", 4)}


def test_what_was_staged_before_a_kill_is_not_embedded_again(
    index: TextIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "CHUNK", 2)
    publish = changes._publish
    monkeypatch.setattr(changes, "_publish", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        index.add("a", LONG)
    assert index.sources() == {}
    monkeypatch.setattr(changes, "_publish", publish)
    assert index.add("a", LONG).embedded == 2  # those of the last chunk, which goes with the change
    assert index.sources() == {"a": 8}


def interrupted_by(
    index: TextIndex, monkeypatch: pytest.MonkeyPatch, other: Callable[[], object]
) -> None:
    """Let something happen after the first chunk of the next change was staged."""
    stage = changes._stage

    def staged(*arguments: Any) -> None:
        stage(*arguments)
        monkeypatch.setattr(changes, "_stage", stage)
        calls.append(other)

    calls: list[Callable[[], object]] = []
    rows = changes._rows

    def then(*arguments: Any) -> Any:
        while calls:
            calls.pop()()
        return rows(*arguments)

    monkeypatch.setattr(changes, "CHUNK", 3)
    monkeypatch.setattr(changes, "_stage", staged)
    monkeypatch.setattr(changes, "_rows", then)


@pytest.mark.parametrize("same", [True, False])
def test_of_two_that_change_a_source_at_once_the_last_is_whole(
    db: Path,
    index: TextIndex,
    encoder: SentenceEncoder,
    monkeypatch: pytest.MonkeyPatch,
    same: bool,
) -> None:
    with TextIndex(db, encoder) as second:
        text = LONG if same else "something else"
        interrupted_by(index, monkeypatch, lambda: second.update("a", text))
        assert index.update("a", LONG).passages == 8
        assert [row[0] for row in content(db, encoder)] == ["a"] * 8


def test_a_source_that_is_removed_meanwhile_comes_back_whole(
    db: Path, index: TextIndex, encoder: SentenceEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted_by(index, monkeypatch, lambda: index.delete("a"))
    index.update("a", LONG)
    assert len(content(db, encoder)) == 8


def test_an_index_that_is_rebuilt_meanwhile_takes_no_other_vectors(
    db: Path, index: TextIndex, encoder: SentenceEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.add("b", "some words")
    second = other(encoder)
    interrupted_by(index, monkeypatch, lambda: TextIndex(db, second, rebuild_vectors=True).close())
    with pytest.raises(InputError, match="expected an index by"):
        index.update("a", LONG)
    assert [row[0] for row in content(db, second)] == ["b"]


def test_staged_passages_that_were_read_otherwise_are_read_anew(
    index: TextIndex, monkeypatch: pytest.MonkeyPatch, db: Path, encoder: SentenceEncoder
) -> None:
    """As by another splitter, or from a file that changed while it was read."""
    monkeypatch.setattr(changes, "CHUNK", 3)
    publish = changes._publish
    monkeypatch.setattr(changes, "_publish", lambda *_: 1 / 0)
    longer = [Passage(f"text {n}", n, n) for n in range(9)]
    arguments = (lambda texts: encoder.encode(list(texts)), lambda count: None)
    with pytest.raises(ZeroDivisionError):
        changes.replace_source(index._store, index._facts, "a", b"d", longer, *arguments)
    monkeypatch.setattr(changes, "_publish", publish)
    fewer = [Passage(f"text {n}", n + 1, n + 1) for n in range(5)]
    changes.replace_source(index._store, index._facts, "a", b"d", fewer, *arguments)
    assert [p.first_line for p in index.passages()] == [1, 2, 3, 4, 5]
    content(db, encoder)


def test_two_that_rebuild_for_different_ends_do_not_mix(
    db: Path, index: TextIndex, encoder: SentenceEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(index)
    monkeypatch.setattr(rebuilding, "CHUNK", 20)
    second = other(encoder)
    counted: list[int] = []

    def meanwhile(count: int) -> None:
        counted.append(count)
        if len(counted) == 2:
            TextIndex(db, encoder, storage="int8", rebuild_vectors=True).close()

    with pytest.raises(DatabaseError, match="run one at a time"):
        TextIndex(db, second, rebuild_vectors=True, done=meanwhile)
    expected = db.with_name("fresh.db")
    with TextIndex(expected, encoder, storage="int8") as fresh:
        fill(fresh)
    assert content(db, encoder) == content(expected, encoder)


def test_an_encoder_that_changes_is_refused(index: TextIndex) -> None:
    own = SentenceEncoder(threads=1)
    with TextIndex(index.path, own) as changed:
        own.prompts["document"] = "passage: "
        for call in (lambda: changed.add("a", "x"), lambda: changed.search("x")):
            with pytest.raises(InputError, match="as it was when the index was opened"):
                call()
    with pytest.raises(InputError, match="expected an index by"):
        TextIndex(index.path, own)


def test_all_passages_are_given_as_they_were_at_first(index: TextIndex) -> None:
    fill(index)
    given = index.passages()
    first = next(given)
    index.update(first.source, "new words")
    index.delete("shop/cats/1.txt")
    assert len([first, *given]) == len(TEXTS)


def test_an_index_that_is_closed_while_it_works_ends_tidily(
    index: TextIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(index)
    errors: list[BaseException] = []

    def work() -> None:
        try:
            while True:
                index.search("cats", hybrid=True)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    index.search("trains")
    index.close()
    for thread in threads:
        thread.join()
    assert [type(error) for error in errors] == [InputError] * 3
    assert index._store._connections == {}


def test_room_of_what_went_is_given_back(index: TextIndex, encoder: SentenceEncoder) -> None:
    index.add("first", "\n".join(["stays"]))
    vectors = np.tile(encoder.encode("x"), (5000, 1))
    passages = [Passage(f"{n}", 1, 1) for n in range(5000)]
    changes.replace_source(
        index._store, index._facts, "b", b"", passages, lambda t: vectors[: len(t)], lambda n: None
    )
    index.add("last", "stays too")
    index.delete("b")
    for number in range(4):  # one of each block stays
        index.add(f"more {number}", f"text {number}")
    before = {p.source: p.vector.tobytes() for p in index.passages()}
    index.compact()
    with index._store.reading() as connection:
        assert connection.execute("SELECT count(*) FROM vectors_chunks").get == 1
    assert {p.source: p.vector.tobytes() for p in index.passages()} == before
    assert index.search("stays", top_k=1)[0].source == "first"


def test_unreadable_texts_are_warned_of(index: TextIndex) -> None:
    with pytest.warns(UserWarning, match="1 of 1 texts are mostly unknown"):
        assert index.add("a", "ᚠᚢᚦ ᚨᚱᚲ ᚷᚹᚺ").unreadable == 1


def test_the_documented_way_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    exec(documented("search.md", "search"), {})  # the project's own document
    first, *_, last = capsys.readouterr().out.splitlines()
    assert "faq/returns:1 Send it back" in first
    assert last == "{'faq/returns': 1}"
