"""Indexes that belong to one user and are read by another; and what lies beside them."""

import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from minilm_onnx import InputError, SentenceEncoder
from minilm_onnx.index.header import has_log
from minilm_onnx.index.journal import lacks_log, log_of, looking
from minilm_onnx.index.textindex import TextIndex
from tests.support.users import NOBODY, STRANGER, as_user, need_users, open_to_all

apsw = pytest.importorskip("apsw", reason="minilm-onnx[search] is not installed")
sqlite_vec = pytest.importorskip("sqlite_vec", reason="minilm-onnx[search] is not installed")
pytest.importorskip("semantic_text_splitter", reason="minilm-onnx[search] is not installed")
pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning"),
]


@pytest.fixture
def place(encoder: SentenceEncoder) -> Iterator[Path]:
    encoder.encode("loaded before its files may not be read")
    library = Path(sqlite_vec.loadable_path()).parent
    if as_user(NOBODY, lambda: os.access(library, os.R_OK)) != "True":
        pytest.skip("other users may not read the packages of this Python")
    with open_to_all() as folder:
        yield folder


def writes(db: Path, encoder: SentenceEncoder, name: str) -> Callable[[], object]:
    def write() -> object:
        with TextIndex(db, encoder) as index:
            return index.update(name, f"A refund: text {name}.").passages

    return write


def searches(db: Path, encoder: SentenceEncoder) -> Callable[[], object]:
    def search() -> object:
        with TextIndex(db, encoder, create_file=False) as index:
            return sorted(result.source for result in index.search("refund"))

    return search


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_an_index_at_rest_is_one_file_without_a_log(db: Path, encoder: SentenceEncoder) -> None:
    with TextIndex(db, encoder) as index:
        index.add("a", "some words")
        assert names(db.parent) == [db.name, f"{db.name}-shm", f"{db.name}-wal"]
    assert (names(db.parent), has_log(db)) == ([db.name], False)
    with TextIndex(db, encoder) as index:
        index.search("words")
        assert names(db.parent) == [db.name]  # who only reads makes no log
        list(index.passages())
    assert (names(db.parent), has_log(db)) == ([db.name], False)


def test_an_index_is_searched_in_a_folder_that_may_not_be_written(
    place: Path, encoder: SentenceEncoder
) -> None:
    db = place / "texts.db"
    writes(db, encoder, "a")()
    db.chmod(0o644)
    place.chmod(0o555)
    assert as_user(NOBODY, searches(db, encoder)) == "['a']"
    assert "may only be read" in as_user(NOBODY, writes(db, encoder, "b"))
    assert names(place) == ["texts.db"]


def test_one_that_still_has_a_log_is_searched_there_too(
    place: Path, encoder: SentenceEncoder
) -> None:
    db = place / "texts.db"
    writes(db, encoder, "a")()
    apsw.Connection(str(db)).execute("PRAGMA journal_mode = WAL")
    db.chmod(0o644)
    place.chmod(0o555)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its log, which another test looks at
        assert as_user(NOBODY, searches(db, encoder)) == "['a']"


def test_a_reader_leaves_nothing_that_locks_the_owner_out(
    place: Path, encoder: SentenceEncoder
) -> None:
    need_users()
    db = place / "texts.db"
    assert as_user(STRANGER, writes(db, encoder, "a")) == "1"
    assert as_user(NOBODY, searches(db, encoder)) == "['a']"
    assert names(place) == ["texts.db"]
    assert as_user(STRANGER, writes(db, encoder, "b")) == "1"


def test_a_reader_sees_what_an_owner_writes_meanwhile(
    place: Path, encoder: SentenceEncoder
) -> None:
    need_users()
    db = place / "texts.db"

    def work() -> object:
        with TextIndex(db, encoder) as index:  # as root, whose files beside it are the owner's
            index.update("b", "A refund: text b.")
            return as_user(NOBODY, searches(db, encoder))

    assert as_user(STRANGER, writes(db, encoder, "a")) == "1"
    assert work() == "['a', 'b']"
    assert names(place) == ["texts.db"]


def test_a_reader_of_a_killed_owners_log_makes_no_files(
    place: Path, encoder: SentenceEncoder
) -> None:
    need_users()
    db = place / "texts.db"

    def die() -> None:
        index = TextIndex(db, encoder)
        index.update("a", "A refund: text a.")
        index.update("b", "A refund: text b.")
        os._exit(0)

    as_user(STRANGER, die)
    assert names(place) == ["texts.db", "texts.db-shm", "texts.db-wal"]
    assert as_user(NOBODY, searches(db, encoder)) == "['a', 'b']"
    Path(f"{db}-shm").unlink()
    said = as_user(NOBODY, searches(db, encoder))
    assert "InputError" in said
    assert "let the owner open it" in said
    assert names(place) == ["texts.db", "texts.db-wal"]
    assert as_user(STRANGER, writes(db, encoder, "c")) == "1"
    assert as_user(NOBODY, searches(db, encoder)) == "['a', 'b', 'c']"


def test_a_file_that_another_user_left_beside_it_is_named(
    place: Path, encoder: SentenceEncoder
) -> None:
    need_users()
    db = place / "texts.db"
    assert as_user(STRANGER, writes(db, encoder, "a")) == "1"
    apsw.Connection(str(db)).execute("PRAGMA journal_mode = WAL")
    for name in ("-wal", "-shm"):
        Path(f"{db}{name}").touch(0o644)  # root's
    said = as_user(STRANGER, writes(db, encoder, "b"))
    assert "DatabaseError" in said
    assert f"also of {log_of(db)}" in said


def test_a_link_to_an_index_is_opened_where_the_index_lies(
    db: Path, tmp_path: Path, encoder: SentenceEncoder
) -> None:
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "elsewhere" / "link.db"
    link.symlink_to(db)
    with TextIndex(link, encoder) as index:
        index.update("a", "A refund.")
        assert not lacks_log(link)
    assert names(link.parent) == ["link.db"]
    assert searches(db, encoder)() == ["a"]


def test_a_copy_without_its_log_is_said(db: Path, tmp_path: Path, encoder: SentenceEncoder) -> None:
    (tmp_path / "copies").mkdir()
    early, late, both = (tmp_path / "copies" / name for name in ("early", "late", "both"))
    with TextIndex(db, encoder) as index:
        index.add("a", "some words")
        shutil.copy(db, early)
    with TextIndex(db, encoder) as index:
        index.add("b", "other words")
        shutil.copy(db, late)
        shutil.copy(db, both)
        shutil.copy(log_of(db), log_of(both))
    with pytest.raises(InputError, match="nothing in it, and without its log"):
        TextIndex(early, encoder, create_file=False)
    with pytest.warns(UserWarning, match=r"expected its log late-wal beside it, got none"):
        assert searches(late, encoder)() == ["a"]
    assert searches(late, encoder)() == ["a"]  # said once, to whom may write
    for found in (searches(both, encoder)(), searches(db, encoder)()):
        assert found == ["a", "b"]


def test_an_index_that_nobody_closed_is_no_copy(db: Path, encoder: SentenceEncoder) -> None:
    def leave() -> object:
        index = TextIndex(db, encoder)
        index.add("a", "A refund.")
        for connection in index._store._connections.values():
            connection.close()  # as the end of Python does
        return names(db.parent)

    assert "texts.db-wal" in as_user(os.geteuid(), leave)
    assert searches(db, encoder)() == ["a"]  # pytest turns warnings into errors
    assert names(db.parent) == ["texts.db"]


def test_a_database_of_others_keeps_its_log(db: Path, encoder: SentenceEncoder) -> None:
    theirs = apsw.Connection(str(db))
    theirs.execute("PRAGMA journal_mode = WAL; CREATE TABLE theirs (x)").fetchall()
    theirs.close()
    before = db.read_bytes()
    with pytest.raises(InputError, match="another program's"):
        TextIndex(db, encoder)
    assert (names(db.parent), db.read_bytes()) == (["texts.db"], before)


class Moving:
    """A connection to a log that another process is at, for some looks."""

    def __init__(self, looks: int) -> None:
        self.looks, self.opened = looks, 0

    def __enter__(self) -> None:
        self.opened += 1

    def __exit__(self, *_: object) -> None:
        self.opened -= 1

    def execute(self, _: str) -> "Moving":
        self.looks -= 1
        if self.looks >= 0:
            raise apsw.ReadOnlyError("attempt to write a readonly database")
        return self

    def fetchall(self) -> None:
        assert self.opened == 1


def test_a_reader_waits_for_a_log_that_is_made_or_ended_now(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    moving: Any = Moving(3)
    with looking(moving):
        assert (moving.looks, moving.opened) == (-1, 1)
    assert moving.opened == 0
    monkeypatch.setattr("minilm_onnx.index.journal.PATIENCE_S", -1)
    moving = Moving(3)
    with pytest.raises(apsw.ReadOnlyError), looking(moving):
        pass
    assert (moving.looks, moving.opened) == (2, 0)
