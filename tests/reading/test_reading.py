"""How files are read: the same by every command, each fault named by its line."""

import gzip
import io
import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minilm_onnx import InputError
from minilm_onnx.cli import main
from minilm_onnx.reading.documents import Document, read_documents
from minilm_onnx.reading.folders import find_files
from minilm_onnx.reading.kinds import SUFFIXES, suffix_of
from minilm_onnx.reading.rows import open_rows


def write(folder: Path, name: str, data: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def test_rows_are_documents_with_their_lines(tmp_path: Path) -> None:
    table = write(tmp_path, "a.csv", 'id,text\n1,"one,\nand more"\n\n2,two\n3,\n')
    assert read_documents(table) == [Document("one,\nand more", 2, 3), Document("two", 5, 5)]
    rows = write(
        tmp_path, "a.jsonl", '{"text": "one", "body": "eins"}\n\n{"text": " ", "body": "zwei"}\n'
    )
    assert read_documents(rows) == [Document("one", 1, 1)]
    assert read_documents(rows, "body") == [Document("eins", 1, 1), Document("zwei", 3, 3)]
    tabs = write(tmp_path, "a.tsv", "text\tn\na, b\t1\n")
    assert read_documents(tabs) == [Document("a, b", 2, 2)]


def test_a_text_is_one_document_or_one_a_line(tmp_path: Path) -> None:
    path = write(tmp_path, "a.txt", "\ufeffone\r\n\r\ntwo\r\n")
    assert read_documents(path) == [Document("one\n\ntwo")]
    assert read_documents(path, lines=True) == [Document("one", 1, 1), Document("two", 3, 3)]
    packed = write(tmp_path, "b.MD.gz", gzip.compress(b"# one\n"))
    assert read_documents(packed) == [Document("# one", markdown=True)]
    assert read_documents(write(tmp_path, "empty.txt", "")) == []


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("a.txt", b"ok\nno\xff", ("line 2", "UTF-8", "0xFF", "iconv")),
        ("a.txt", b"ok\n\0\0ELF", ("binary", "pandoc")),
        ("a.md", b"%PDF-1.7\n\xff", ("binary", "pdftotext")),
        ("a.txt", b"ok\n" * 9999 + b"\0", ("line 10000", "NUL", "binary")),
        ("a.db", b"SQLite format 3\0more", ("database", "--db")),
        ("a.txt", "text".encode("utf-16"), ("line 1", "UTF-8")),
        ("a.csv", "a,b\n1,2\n", ("line 1", "'text'", "a, b", "--field")),
        ("a.csv", "text,b\n1\n", ("line 2", "2 fields", "got 1")),
        ("a.csv", 'text\n"open', ("line 2", "mend the row")),
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
    for name in ("b/z.md", "b/a.txt", "a.csv", ".git/x.md", ".x.md", "c.png", "c.jsonl.gz", "d.py"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    (tmp_path / "loop").symlink_to(tmp_path)
    found = [path.relative_to(tmp_path).as_posix() for path in find_files(tmp_path).files]
    assert found == ["a.csv", "c.jsonl.gz", "b/a.txt", "b/z.md"]
    assert find_files(tmp_path).others == 2  # of them no text is known


TEXTS = ["I want my money back, please", 'She said "no"', "Add a dark mode"]
JSON_ROWS = "".join(json.dumps({"id": n, "text": text}) + "\n" for n, text in enumerate(TEXTS))
CSV = 'id,text\n1,"I want my money back, please"\n2,"She said ""no"""\n\n3,Add a dark mode\n'
TSV = 'id\ttext\n1\tI want my money back, please\n2\tShe said "no"\n3\tAdd a dark mode\n'
# Every kind of file, each with the same three texts.
FILES: dict[str, bytes] = {
    "plain.txt": "\n".join(TEXTS).encode(),
    "mark.TXT": b"\xef\xbb\xbf" + "\r\n".join(TEXTS).encode() + b"\r\n",
    "no-suffix": "\n".join(TEXTS).encode() + b"\n",
    "packed.GZ": gzip.compress("\n".join(TEXTS).encode()),
    "rows.jsonl": JSON_ROWS.encode(),
    "rows.NDJSON": b"\xef\xbb\xbf" + JSON_ROWS.replace("\n", "\r\n \r\n").encode(),
    "rows.jsonl.gz": gzip.compress(JSON_ROWS.encode()),
    "commas.csv": CSV.encode(),
    "excel.CSV": b"\xef\xbb\xbf" + CSV.replace("\n", "\r\n").encode(),
    "semicolons.csv": CSV.replace(',"', ';"').replace(",t", ";t").replace("3,", "3;").encode(),
    "named.csv": b"sep=;\r\nid;text\r\n"
    + "".join(f'"1";"{text.replace(chr(34), chr(34) * 2)}"\r\n' for text in TEXTS).encode(),
    "packed.csv.gz": gzip.compress(CSV.encode()),
    "tabs.tsv": TSV.encode(),
    "quoted.tsv": TSV.replace('She said "no"', '"She said ""no"""').encode(),
}


def texts_of(path: Path, field: str | None = None) -> list[str]:
    with open_rows(str(path), field) as source:
        return [row.text for row in source.rows]


@pytest.fixture(params=FILES)
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return write(tmp_path, request.param, FILES[request.param])


def test_the_same_texts_are_the_same_in_every_kind_of_file(file: Path) -> None:
    assert texts_of(file) == TEXTS


def test_every_command_reads_every_kind_of_file_alike(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["embed", str(file)]) == 0
    said = capsys.readouterr()
    assert [json.loads(line)["text"] for line in said.out.splitlines()] == TEXTS
    has_rows = "rows" in file.name or ".csv" in file.name.lower() or ".tsv" in file.name
    assert ("the field 'text' of each row" in said.err) == has_rows
    assert main(["dedupe", str(file), "--threshold", "-1", "--json"]) == 0
    assert [row["text"] for row in json.loads(capsys.readouterr().out)] == TEXTS[1:]
    assert main(["cluster", str(file), "--threshold", "-1", "--json"]) == 0
    (group,) = json.loads(capsys.readouterr().out)
    assert sorted(row["text"] for row in group) == sorted(TEXTS)
    page = file.with_name("page.html")
    assert main(["similarity", str(file), "--heatmap", str(page)]) == 0
    assert page.read_text("utf-8").count("I want my money back, please") >= 1
    capsys.readouterr()
    if suffix_of(file.name) in SUFFIXES:
        assert main(["search", str(file), "money", "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert sorted(row["text"] for row in found) == sorted(TEXTS)


@pytest.mark.parametrize("name", [name for name in FILES if "gz" not in name.lower()])
def test_dedupe_keeps_rows_as_they_stand_in_the_file(name: str, tmp_path: Path) -> None:
    given = write(tmp_path, name, FILES[name])
    kept = tmp_path / "kept"
    assert main(["dedupe", str(given), "--threshold", "0.99", "--out", str(kept)]) == 0
    lines = [line for line in texts_of(given.rename(tmp_path / "as-lines")) if line.strip()]
    assert kept.read_text("utf-8").splitlines() == lines


def test_dedupe_of_a_table_with_line_ends_in_its_fields_leaves_a_table(tmp_path: Path) -> None:
    rows = 'id,text\n1,"one\n\nmore"\n2,other\n3,"one\n\nmore"\n'
    given = write(tmp_path, "rows.csv", rows)
    kept = tmp_path / "kept.csv"
    assert main(["dedupe", str(given), "--out", str(kept)]) == 0
    assert kept.read_text("utf-8") == 'id,text\n1,"one\n\nmore"\n2,other\n'


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("a.txt", b"one\n\n two \n", ["one", "", " two "]),
        ("a.txt", b"", []),
        ("a.txt", b"\xef\xbb\xbf", []),
        ("a.jsonl", b"\n\n", []),
        ("a.csv", b"text\n", []),
        ("a.csv", b"\n\nid,text\n1,one\n", ["one"]),
        ("a.csv", b"text\n\n\n", []),
        ("a.csv", b"text\n\"\"\n", [""]),
        ("a.csv", b"text;en\none, two;3\n", ["one, two"]),
        ("a.csv", b"text\tid\none; two, three\t3\n", ["one; two, three"]),
        ("a.csv", b'text,id\n"a\r\nb",1\n', ["a\nb"]),
        ("a.tsv", b'n\ttext\n1\t"a\n2\tb"\n3\t"a" b\n4\t"c"\n', ['"a', 'b"', '"a" b', "c"]),
        ("a.tsv", b'text\n"a ""b"" c"\n"d "e" f"\n', ['a "b" c', '"d "e" f"']),
    ],
)  # fmt: skip
def test_what_is_odd_in_a_file_is_read_as_it_is_meant(
    tmp_path: Path, name: str, data: bytes, expected: list[str]
) -> None:
    assert texts_of(write(tmp_path, name, data)) == expected


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("a.csv", "id;body\n1;x\n", ("line 1", "'text'", "id, body", "';'", "--field")),
        ("a.csv", "sep=;\n\nid;body\n1;x\n", ("line 3", "'text'", "id, body")),
        ("a.csv", 'id,text\n1,"x" y\n', ("line 2", "mend the row")),
        ("a.tsv", "id\ttext\n1\tx\ny\n", ("line 3", "2 fields", "got 1", ".csv")),
        ("a.jsonl", '{"text": "x"}\n["text"]\n', ("line 2", "JSON object", "list")),
        ("a.jsonl", '{"text": "\\ud800"}\n', ("line 1", "lone surrogate")),
        ("a.jsonl", "plain\n", ("line 1", "JSON", "without --field")),
        ("a.csv.gz", b"no gzip", ("gzip",)),
        ("a.parquet.gz", gzip.compress(b"PAR1"), ("without .gz", "gunzip")),
    ],
)
def test_what_is_wrong_with_rows_is_said_with_their_line(
    tmp_path: Path, name: str, data: str | bytes, words: tuple[str, ...]
) -> None:
    with pytest.raises(InputError) as caught:
        texts_of(write(tmp_path, name, data))
    assert all(word in str(caught.value) for word in (name, *words))


@pytest.mark.parametrize("command", ["embed", "dedupe", "cluster"])
@pytest.mark.parametrize(
    ("data", "expected"), [(b"", []), (JSON_ROWS.encode(), ["--field", "text"])]
)
def test_standard_input_is_lines_or_json_with_a_field(
    command: str, data: bytes, expected: list[str], monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    given = data or "\n".join(TEXTS).encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))
    assert main([command, "-", *expected]) == 0
    said = capsys.readouterr()
    if command == "embed":
        assert [json.loads(line)["text"] for line in said.out.splitlines()] == TEXTS


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0\r\n"), min_size=1)))
def test_any_text_comes_back_from_csv(texts: list[str]) -> None:
    quoted = "".join('"' + text.replace('"', '""') + '"\n' for text in texts)
    with TemporaryDirectory() as folder:
        assert texts_of(write(Path(folder), "a.csv", f"text\n{quoted}")) == texts
