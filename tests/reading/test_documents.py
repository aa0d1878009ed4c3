"""Whole files and folders: what is a document, and each fault named by its line."""

import gzip
from pathlib import Path

import pytest

from minilm_onnx import InputError
from minilm_onnx.reading.documents import Document, pages, read_documents
from minilm_onnx.reading.folders import find_files
from tests.support.files import write


def test_rows_are_documents_with_their_lines(tmp_path: Path) -> None:
    table = write(tmp_path, "a.csv", 'id,text\n1,"one,\nand more"\n\n2,two\n3,\n')
    assert read_documents(table) == [
        Document("one,\nand more", 2, 3, metadata={"id": "1"}),
        Document("two", 5, 5, metadata={"id": "2"}),
    ]
    rows = write(
        tmp_path, "a.jsonl", '{"text": "one", "body": "eins"}\n\n{"text": " ", "body": "zwei"}\n'
    )
    assert read_documents(rows) == [Document("one", 1, 1, metadata={"body": "eins"})]
    assert read_documents(rows, "body") == [
        Document("eins", 1, 1, metadata={"text": "one"}),
        Document("zwei", 3, 3, metadata={"text": " "}),
    ]
    tabs = write(tmp_path, "a.tsv", "text\tn\na, b\t1\n")
    assert read_documents(tabs) == [Document("a, b", 2, 2, metadata={"n": "1"})]


def test_a_text_is_one_document_or_one_a_line(tmp_path: Path) -> None:
    path = write(tmp_path, "a.txt", "\ufeffone\r\n\r\ntwo\r\n")
    assert read_documents(path) == [Document("one\n\ntwo")]
    assert read_documents(path, lines=True) == [Document("one", 1, 1), Document("two", 3, 3)]
    packed = write(tmp_path, "b.MD.gz", gzip.compress(b"# one\n"))
    assert read_documents(packed) == [Document("# one", markdown=True)]
    assert read_documents(write(tmp_path, "empty.txt", "")) == []


def test_a_line_ends_at_a_page_and_a_row_does_not(tmp_path: Path) -> None:
    path = write(tmp_path, "a.txt", "one\ftwo\nthree\vfour\x85five\n\f\n")
    assert read_documents(path) == [Document("one\ftwo\nthree\vfour\x85five\n\f")]
    assert [(one.text, one.first_line) for one in read_documents(path, lines=True)] == [
        *(("one", 1), ("two", 1), ("three", 2), ("four", 2), ("five", 2))
    ]
    rows = write(tmp_path, "a.jsonl", '{"text": "one\\ftwo"}\n')
    assert read_documents(rows) == [Document("one\ftwo", 1, 1)]
    assert pages("one\ftwo\vthree") == ["one", "two\nthree"]


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("a.txt", b"ok\nno\xff", ("line 2", "UTF-8", "0xFF", "iconv")),
        ("a.txt", b"ok\n\0\0ELF", ("binary", "pandoc")),
        ("a.md", b"%PDF-1.7\n\xff", ("binary", "pdftotext")),
        ("a.txt", b"ok\n" * 9999 + b"\0", ("line 10000", "NUL", "binary")),
        ("a.db", b"SQLite format 3\0more", ("database", "--db")),
        ("a.txt", "text".encode("utf-16"), ("line 1", "UTF-8")),
        ("a.csv", "a,b\n1,2\n", ("line 1", "'text'", "'a', 'b'", "--field")),
        ("a.csv", "text,b\n1\n", ("line 2", "2 fields", "got 1")),
        ("a.csv", 'text\n"open', ("line 2", "fix the row")),
        ("a.csv", "", ()),
        ("a.jsonl", '{"text": 1}\n', ("line 1", "string", "int 1")),
        ("a.jsonl", '{"body": "x"}\n', ("line 1", "'text'", "body")),
        ("a.jsonl", "nonsense\n", ("line 1", "JSON")),
        ("a.txt.gz", "no gzip", ("gzip",)),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_line(
    tmp_path: Path, name: str, data: str | bytes, words: tuple[str, ...]
) -> None:
    path = write(tmp_path, name, data)
    if not words:
        assert read_documents(path) == []
        return
    with pytest.raises(InputError) as caught:
        read_documents(path)
    assert all(word in str(caught.value) for word in (name, *words))


def test_folders_are_read_in_order_without_what_is_hidden(tmp_path: Path) -> None:
    for name in (
        *("b/z.md", "b/a.txt", "a.csv", ".git/x.md", ".x.md", "c.png", "c.jsonl.gz", "d.py"),
        *("e.parquet", "f.arrow"),
    ):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "b" / ".hidden").symlink_to(tmp_path)
    found = [path.relative_to(tmp_path).as_posix() for path in find_files(tmp_path).files]
    assert found == ["a.csv", "c.jsonl.gz", "e.parquet", "f.arrow", "b/a.txt", "b/z.md"]
    assert find_files(tmp_path).others == 2  # of them no text is known
    assert find_files(tmp_path).links == [str(tmp_path / "loop")]
