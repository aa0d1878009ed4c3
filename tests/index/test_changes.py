"""Changes to an index and rebuilding it: nothing is lost, whoever writes and whatever ends."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minilm_onnx import DatabaseError, InputError, SentenceEncoder
from minilm_onnx.index import changes, rebuilding
from minilm_onnx.index.passages import Passage
from minilm_onnx.index.storage import Storage
from minilm_onnx.index.textindex import TextIndex
from tests.support.indexes import STORAGES, TEXTS, content, fill, other

pytest.importorskip("apsw", reason="minilm-onnx[search] is not installed")
pytest.importorskip("sqlite_vec", reason="minilm-onnx[search] is not installed")
pytest.importorskip("semantic_text_splitter", reason="minilm-onnx[search] is not installed")


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


def test_an_index_says_what_made_its_vectors_and_is_searched_by_others(
    db: Path, encoder: SentenceEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = encoder.runtime
    with TextIndex(db, encoder) as index:
        assert index.runtimes == []
        fill(index)
        assert index.runtimes == [own]
        index.compact()
    monkeypatch.setattr(SentenceEncoder, "runtime", "onnxruntime 0.9")
    with TextIndex(db, encoder) as index:
        assert index.search("cats", top_k=1)[0].source.startswith("shop/cats/")
        index.add("known", next(iter(TEXTS.values())))  # whose vector is there
        assert index.runtimes == [own]
        index.add("new", "something else")
        assert index.runtimes == [own, "onnxruntime 0.9"]
    counted: list[int] = []
    for _ in range(2):  # the second time there is nothing to do
        with TextIndex(db, encoder, rebuild_vectors=True, done=counted.append) as index:
            assert index.runtimes == ["onnxruntime 0.9"]
            assert sum(counted) == len(TEXTS) + 2


def test_an_index_from_before_runtimes_were_noted_says_so(
    db: Path, encoder: SentenceEncoder
) -> None:
    with TextIndex(db, encoder) as index:
        index.add("old", "a cat")
        with index._store.writing() as connection:
            connection.execute("DELETE FROM facts WHERE name = 'runtimes'")
        assert index.runtimes == ["unknown"]
        index.add("new", "a dog")
        assert index.runtimes == ["unknown", encoder.runtime]
        with index._store.writing() as connection:
            connection.execute("UPDATE facts SET value = 3 WHERE name = 'runtimes'")
        with pytest.raises(DatabaseError, match="the facts"):
            _ = index.runtimes


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
