"""The file of an index: damaged, locked, full, read-only, and shared by threads and processes."""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from minilm_onnx import DatabaseError, InputError, MiniLMError, SentenceEncoder
from minilm_onnx.index.contents import check_order
from minilm_onnx.index.indexing import index_paths
from minilm_onnx.index.textindex import TextIndex
from tests.support.indexes import TEXTS, TOPICS, content, fill

apsw = pytest.importorskip("apsw", reason="minilm-onnx[search] is not installed")
pytest.importorskip("sqlite_vec", reason="minilm-onnx[search] is not installed")
pytest.importorskip("semantic_text_splitter", reason="minilm-onnx[search] is not installed")


@pytest.mark.parametrize(
    ("module", "package"),
    [
        ("apsw", "apsw"),
        ("sqlite_vec", "sqlite-vec"),
        ("semantic_text_splitter", "semantic-text-splitter"),
        ("markdown_it", "markdown-it-py"),
    ],
)
def test_a_package_that_is_missing_is_named_with_what_brings_it(
    db: Path,
    encoder: SentenceEncoder,
    monkeypatch: pytest.MonkeyPatch,
    module: str,
    package: str,
) -> None:
    monkeypatch.setitem(sys.modules, module, None)  # importing it fails
    words = rf"expected {package}, got .*{module}.*; run pip install '\.\[search\]'"
    with pytest.raises(InputError, match=words), TextIndex(db, encoder) as index:
        index.add("a", "# Some text", markdown=True)


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
        (newer, "format 3, got 9"),
        (tmp_path, "a folder"),
        (tmp_path / "no" / "folder.db", "cannot be opened"),
        (tmp_path / ("x" * 300), "a readable path"),
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
from minilm_onnx.index.contents import check_order
from minilm_onnx.index.indexing import index_paths
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


ENTRIES = (
    ("UPDATE sources SET name = x'00' WHERE id = 1", "passages"),
    ("UPDATE sources SET digest = 'x' WHERE id = 1", "sources"),
    ("UPDATE sources SET note = '[1' WHERE id = 1", "notes on files"),
    ("UPDATE sources SET note = '[1, 2]' WHERE id = 1", "notes on files"),
    ("UPDATE passages SET text = x'00' WHERE id = 1", "passages"),
    ("UPDATE passages SET headings = x'00' WHERE id = 1", "passages"),
    ("UPDATE passages SET codes = x'0000' WHERE id = 1", "a vector"),
    ("UPDATE facts SET value = 'x' WHERE name = 'dimension'", "the facts"),
    ("UPDATE facts SET value = 3 WHERE name = 'fingerprint'", "the facts"),
    ("INSERT INTO staged VALUES (x'00', 0, x'00', '', '', 1, 1, x'00', x'00', NULL)", "staged"),
    ("PRAGMA application_id = 0", "the header"),
    ("PRAGMA user_version = 268435457", "the header"),
)


@pytest.mark.parametrize(("statement", "what"), ENTRIES)
def test_an_entry_that_nobody_wrote_is_damage(
    db: Path, tmp_path: Path, encoder: SentenceEncoder, statement: str, what: str
) -> None:
    file = tmp_path / "a.txt"
    file.write_text("some words about cats")
    with TextIndex(db, encoder, storage="binary") as index:
        index_paths(index, [file])
    apsw.Connection(str(db)).execute(statement).fetchall()
    with pytest.raises(DatabaseError, match=f"expected {what}"):
        use_all(db, encoder, file)


def use_all(db: Path, encoder: SentenceEncoder, file: Path) -> None:
    """Do all that can be done with an index."""
    with TextIndex(db, encoder) as index:
        index.search("cats", hybrid=True)
        index.sources()
        list(index.passages())
        index_paths(index, [file])
        index.update("b", "other words")
    TextIndex(db, encoder, storage="int8", rebuild_vectors=True).close()


def test_damage_at_the_beginning_is_damage_and_a_text_is_none(
    db: Path, tmp_path: Path, encoder: SentenceEncoder
) -> None:
    with TextIndex(db, encoder) as index:
        fill(index)
    whole = db.read_bytes()
    for start, new in (
        (0, b"\xff" * 4096),
        (0, b"\0" * 4096),
        (0, b"\0" * 16),
        (16, b"\xff" * 50),
        (100, b"\xff" * 3000),
    ):
        db.write_bytes(whole[:start] + new + whole[start + len(new) :])
        with pytest.raises(DatabaseError, match="damaged"):
            use_all(db, encoder, tmp_path)
    db.write_bytes(whole[:50])
    with pytest.raises(DatabaseError, match="damaged"):
        use_all(db, encoder, tmp_path)
    db.write_text("text " * 4096)  # whole pages, too
    with pytest.raises(InputError, match="a file that is none"):
        use_all(db, encoder, tmp_path)


def test_numbers_that_do_not_go_up_end_no_reader() -> None:
    check_order([3, 5, 6], 2)
    for numbers, before in (([3, 3], 2), ([4, 2], 2), ([2], 2)):
        with pytest.raises(DatabaseError, match="passages"):
            check_order(numbers, before)


def test_a_file_that_was_deleted_is_not_made_again(
    tmp_path: Path, encoder: SentenceEncoder
) -> None:
    """By a thread that had no connection yet, which would find it empty."""
    with TextIndex(tmp_path / "notes.db", encoder) as index:
        index.add("a", "A cat.")
        (tmp_path / "notes.db").unlink()
        with ThreadPoolExecutor() as pool, pytest.raises(InputError, match="cannot be opened"):
            pool.submit(index.sources).result()
    assert not (tmp_path / "notes.db").exists()
