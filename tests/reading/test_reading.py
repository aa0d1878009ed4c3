"""How rows are read: the same by every command, each fault named by its line."""

import gzip
import html
import importlib
import io
import json
import os
import re
import sys
import threading
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minilm_onnx import InputError
from minilm_onnx.cli import main
from minilm_onnx.reading import separated
from minilm_onnx.reading.documents import Document, read_documents
from minilm_onnx.reading.guesses import CR, seems_to_be
from minilm_onnx.reading.kinds import ROWS, suffix_of
from minilm_onnx.reading.rows import open_rows
from tests.support.files import write

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


# Of Arrow and Parquet pyarrow writes them, where it is installed.
COLUMNAR_FILES = ("columns.parquet", "columns.ARROW")


@pytest.fixture(params=[*FILES, *COLUMNAR_FILES])
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param in FILES:
        return write(tmp_path, request.param, FILES[request.param])
    return write_columns(tmp_path / request.param, {"id": [1, 2, 3], "text": TEXTS})


def write_columns(path: Path, columns: dict[str, list[Any]]) -> Path:
    pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    rows = pa.table(columns)
    if path.suffix.lower() == ".parquet":
        importlib.import_module("pyarrow.parquet").write_table(rows, path)
    else:
        with pa.ipc.new_file(path, rows.schema) as writer:
            writer.write_table(rows)
    return path


def test_the_same_texts_are_the_same_in_every_kind_of_file(file: Path) -> None:
    assert texts_of(file) == TEXTS


def test_every_command_reads_every_kind_of_file_alike(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["embed", str(file)]) == 0
    said = capsys.readouterr()
    assert [json.loads(line)["text"] for line in said.out.splitlines()] == TEXTS
    has_rows = suffix_of(file.name) in ROWS
    assert ("the field 'text' of each row" in said.err) == has_rows
    assert main(["dedupe", str(file), "--threshold", "-1", "--json"]) == 0
    assert [row["text"] for row in json.loads(capsys.readouterr().out)] == TEXTS[1:]
    assert main(["cluster", str(file), "--threshold", "-1", "--json"]) == 0
    (group,) = json.loads(capsys.readouterr().out)
    assert sorted(row["text"] for row in group) == sorted(TEXTS)
    page = file.with_name("page.html")
    assert main(["similarity", str(file), "--heatmap", str(page)]) == 0
    cells = re.findall(r"<th[^>]*>(.*?)</th>", page.read_text("utf-8"), re.DOTALL)
    assert [html.unescape(cell) for cell in cells if cell][-3:] == TEXTS
    capsys.readouterr()
    assert main(["search", str(file), "money", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert sorted(row["text"] for row in found) == sorted(TEXTS)
    pytest.importorskip("apsw", reason="minilm-onnx[search] is not installed")
    lines = [] if has_rows else ["--lines"]
    db = str(file.with_name("texts.db"))
    assert main(["index", str(file), "--db", db, *lines]) == 0
    capsys.readouterr()
    assert main(["search", "--db", db, "money", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert sorted(row["text"] for row in found) == sorted(TEXTS)


@pytest.mark.parametrize("name", [name for name in FILES if "gz" not in name.lower()])
def test_dedupe_keeps_rows_as_they_stand_in_the_file(name: str, tmp_path: Path) -> None:
    """Blank lines stay where they are texts: in plain text, and nowhere else."""
    given = write(tmp_path, name, FILES[name] + (b"" if name == "plain.txt" else b"\n\n"))
    kept = tmp_path / f"kept{given.suffix}"
    assert main(["dedupe", str(given), "--threshold", "0.99", "--out", str(kept)]) == 0
    lines = texts_of(given.rename(tmp_path / "as-lines"))
    assert ("" in lines) == (name != "plain.txt")
    if suffix_of(name) in ROWS:
        lines = [line for line in lines if line.strip()]
    assert kept.read_text("utf-8").splitlines() == lines


@pytest.mark.parametrize(
    ("name", "out", "words"),
    [
        ("rows.csv", "kept.jsonl", "expected the suffix .csv of"),
        ("rows.csv", "kept", "expected the suffix .csv of"),
        ("rows.tsv", "kept.csv", "expected the suffix .tsv of"),
        ("rows.jsonl", "kept.txt", "expected the suffix .jsonl of"),
        ("rows.txt", "kept.csv", "expected the suffix .txt for the lines of"),
        ("-", "kept.parquet", "expected the suffix .txt for the lines of -"),
        ("rows.jsonl", "kept.ndjson", ""),
        ("rows.txt", "kept.md", ""),
    ],
)
def test_dedupe_writes_rows_under_a_suffix_that_reads_them_alike(
    name: str, out: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = name if name == "-" else str(write(tmp_path, name, JSON_ROWS))
    code = main(["dedupe", given, "--out", str(tmp_path / out)])
    assert (code == 0) == (not words)
    assert words in capsys.readouterr().err


def test_dedupe_of_json_from_standard_input_may_leave_json_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = (JSON_ROWS + JSON_ROWS).encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))
    kept = tmp_path / "kept.jsonl"
    assert main(["dedupe", "-", "--field", "text", "--out", str(kept)]) == 0
    assert kept.read_text("utf-8") == JSON_ROWS
    assert main(["dedupe", "-", "--field", "text", "--out", str(tmp_path / "kept.csv")]) == 2
    assert "expected the suffix .jsonl for the lines of -" in capsys.readouterr().err


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
        ("a.csv", b"\n\ntext;en\none, two;3\n", ["one, two"]),
        ("a.csv", b'"in, \nnumbers";text\n1;one, two\n', ["one, two"]),
        ("a.csv", b'"a;b","c\n;d",text\n1,2,"one; two"\n', ["one; two"]),
        ("a.csv", b"sep=|\nid|text\n1|one, two\n", ["one, two"]),
        ("a.csv", b"id|text\n1|one, two\n", ["one, two"]),
        ("a.csv", b"\nsep=;\n\nid;text\n1;one\n", ["one"]),
        ("a.csv", b"body\none\n", ["one"]),
        ("a.csv", b"\"the, body\"\none\n", ["one"]),
        ("a.csv", b"body,text\none,two\n", ["two"]),
        ("a.tsv", b"body\none\n", ["one"]),
        ("a.tsv", b'text\n"a\nb\n"c"\n', ['"a', "b", "c"]),
        ("a.tsv", b'n\ttext\n1\t"a\n\n2\tb\n', ['"a', "b"]),
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
        ("a.csv", "id;body\n1;x\n", ("line 1", "'text'", "'id', 'body'", "';'", "--field")),
        ("a.csv", "sep=;\n\nid;body\n1;x\n", ("line 3", "'text'", "'id', 'body'")),
        ("a.csv", 'id,text\n1,"x" y\n', ("line 2", "fix the row")),
        ("a.csv", "id,text\n1,x\n2,y,z\n", ("line 3", "2 fields", "got 3", "needs quotes")),
        ("a.csv", "id, text\n1,x\n", ("line 1", "'id', ' text'")),
        ("a.csv", "I came, I saw\nI left\n", ("the first row must name the columns", ".txt")),
        ("a.csv", "text,id,text\nx,1,y\n", ("--field text", "one column of that name", "got 2")),
        ("a.tsv", "text\ttext\nx\ty\n", ("--field text", "one column of that name", "got 2")),
        ("a.csv", b"id,text\r1,x\r", ("line 1", "CR alone")),
        ("a.csv", b"id,text\n1,x\r2,y\r", ("line 2", "CR alone")),
        ("a.csv", "id,words" + "x" * 2**17 + "\n1,x\n", ("line 1", "a column 'text'")),
        ("a.csv", "sep=:\nid:text\n", ("line 1", "sep=", "'|'", "got ':'")),
        ("a.csv", 'sep="\ntext\n', ("line 1", "sep=")),
        ("a.csv", b'"id",text,"\n\x98"\n1,x,y\n', ("line 2", "UTF-8", "0x98")),
        ("a.csv", "\n\nid;body\n1;x\n", ("line 3", "'id', 'body'", "';'")),
        ("a.csv", 'text\n"x\ny"\n"open\n,and\n', ("line 4", "fix the row")),
        ("a.tsv", 'text\nx\n"torn\n\nin two"\ny\n', ("line 3", "up to line 5", ".csv")),
        ("a.csv", "id,text\n".encode("utf-16"), ("line 1", "UTF-16", "iconv")),
        ("a.txt", "\ufefftext".encode("utf-16-be"), ("line 1", "UTF-16", "iconv")),
        ("a.txt", "some\ntext\n".encode("utf-16-le"), ("line 1", "UTF-16", "iconv")),
        ("a.csv", "text\nsome\n".encode("utf-16-be"), ("line 1", "UTF-16", "iconv")),
        ("a.jsonl.gz", gzip.compress('{"text": "x"}\n'.encode("utf-16")), ("line 1", "UTF-16")),
        ("a.txt", b"\x7fELF\0\0\xff", ("binary", "pandoc")),
        ("a.tsv", "id\ttext\n1\tx\ny\n", ("line 3", "2 fields", "got 1", ".csv")),
        ("a.jsonl", '{"text": "x"}\n["text"]\n', ("line 2", "JSON object", "list")),
        ("a.jsonl", '{"text": "\\ud800"}\n', ("line 1", "lone surrogate")),
        ("a.jsonl", "plain\n", ("line 1", "JSON", "leave out --field", "rename the file to .txt")),
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
    alike = [] if command == "embed" else ["--threshold", "-1", "--json"]
    assert main([command, "-", *expected, *alike]) == 0
    said = capsys.readouterr()
    if command == "embed":
        assert [json.loads(line)["text"] for line in said.out.splitlines()] == TEXTS
    elif command == "dedupe":
        assert [row["text"] for row in json.loads(said.out)] == TEXTS[1:]
        assert "in 3 lines" in said.err
    else:
        (group,) = json.loads(said.out)
        assert sorted(row["text"] for row in group) == sorted(TEXTS)


@pytest.mark.parametrize("name", ["-", "/dev/fd", "rows.txt"])
@pytest.mark.parametrize("command", ["embed", "dedupe", "cluster", "search", "similarity"])
def test_rows_that_are_taken_as_plain_lines_are_not_taken_in_silence(
    command: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Neither from a pipe, as the shell's <(...), which has no suffix that says what it is."""
    rows: io.TextIOBase = io.TextIOWrapper(io.BytesIO(JSON_ROWS.encode()))
    file = name if name == "-" else str(write(tmp_path, "rows.txt", JSON_ROWS))
    if name == "/dev/fd":
        if not Path(name).exists():
            pytest.skip("needs /dev/fd")
        reads, writes = os.pipe()
        os.write(writes, JSON_ROWS.encode())
        os.close(writes)
        rows, file = os.fdopen(reads), f"{name}/{reads}"
    with rows:
        monkeypatch.setattr(sys, "stdin", rows)
        more = {"search": ["x"], "similarity": ["--heatmap", str(tmp_path / "map.html")]}
        assert main([command, file, *more.get(command, [])]) == 0
    said = capsys.readouterr().err
    assert "; its lines seem to be JSON and were taken as they are, --field NAME reads" in said


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("\n \n" + JSON_ROWS, "; its lines seem to be JSON and were taken as they are"),
        ("a cat\ra dog\r", r"; its lines seem to end in CR alone and were taken for one"),
        ("\n\na cat\n", None),
    ],
)
def test_what_lines_seem_to_be_is_said_behind_blank_ones_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], data: str, words: str | None
) -> None:
    assert main(["dedupe", str(write(tmp_path, "rows.txt", data))]) == 0
    said = capsys.readouterr().err
    assert words in said if words else "seem" not in said


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        *[(data.split("\n")[0], "a table") for data in (CSV, TSV)],
        *[(line, "a table") for line in ('"id";"text"', "id,größe,x.y-z", "a,b", "id|text")],
        ("a cat\ra dog\r", CR),
        *[
            (line, "JSON")
            for line in (JSON_ROWS.split("\n")[0], "[", "{", " [{", '[{"a": 1},', '{"a":')
        ],
        *[(line, "") for line in ("", "one, two", "Well, no", "1,2", "word", "[1] one", "[3]")],
        *[(line, "") for line in ("{name}", "{}", "[[1]]", "[" * 99999)],
    ],
)
def test_what_lines_seem_to_be_is_told_by_the_first(line: str, expected: str) -> None:
    assert seems_to_be(line) == expected


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0\r\n"), min_size=1)))
def test_any_text_comes_back_from_csv(texts: list[str]) -> None:
    quoted = "".join('"' + text.replace('"', '""') + '"\n' for text in texts)
    with TemporaryDirectory() as folder:
        assert texts_of(write(Path(folder), "a.csv", f"text\n{quoted}")) == texts


def test_a_quote_that_is_not_closed_does_not_hold_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(separated, "RECORD", 100)
    rows = 'text\n"one\ntwo"\n"three"\n"four\n' + "more\n" * 50
    for data, words in (
        (rows, r"line 5: expected a row of at most 100 .* close the quote"),
        ('"text\n' + "more\n" * 50, r"line 1: expected a row of at most 100 .* close the quote"),
        ("text\n" + "more " * 50, r"line 2: expected a row of at most 100 .* split it"),
    ):
        with pytest.raises(InputError, match=words):
            texts_of(write(tmp_path, "a.csv", data))


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet", ".arrow"])
def test_without_field_it_is_text_else_the_only_column(suffix: str, tmp_path: Path) -> None:
    def file(**columns: str) -> Path:
        path = tmp_path / f"rows{suffix}"
        if suffix in (".parquet", ".arrow"):
            return write_columns(path, {name: [text] for name, text in columns.items()})
        between = "\t" if suffix == ".tsv" else ","
        rows = [between.join(columns), between.join(columns.values())]
        lines = [json.dumps(columns)] if suffix == ".jsonl" else rows
        return write(tmp_path, path.name, "\n".join(lines))

    assert texts_of(file(title="A title", text="a text")) == ["a text"]
    with pytest.raises(InputError, match="'text'"):
        texts_of(file(title="A title", body="a text"))
    if suffix == ".jsonl":
        with pytest.raises(InputError, match="'text'"):
            texts_of(file(body="a text"))
    else:
        assert texts_of(file(body="a text")) == ["a text"]
    with pytest.raises(InputError, match="text"):
        texts_of(file(body="a text"), "text")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_read_once_and_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pipe = tmp_path / "pipe.csv"
    os.mkfifo(pipe)
    lines = [f"line {number}, more" for number in range(3000)]
    data = "text\n" + "".join(f'"{line}"\n' for line in lines)
    for as_documents in (False, True):
        writer = threading.Thread(target=pipe.write_text, args=(data,))
        writer.start()
        found = [one.text for one in read_documents(pipe)] if as_documents else texts_of(pipe)
        assert found == lines
        writer.join()
    writer = threading.Thread(target=pipe.write_text, args=("text\nmy money\n",))
    writer.start()
    assert main(["search", str(pipe), "refund"]) == 0
    writer.join()
    assert "my money" in capsys.readouterr().out


def test_standard_input_is_not_a_file_of_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "-", "SQLite format 3\0")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a text\n")))
    assert read_documents(Path("-")) == [Document("a text")]


@pytest.mark.parametrize("command", ["embed", "dedupe", "cluster"])
def test_an_error_is_one_line_though_no_field_was_named(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = write(tmp_path, "a.csv", "id,text\n1,x\n2\n")
    assert main([command, str(broken)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_table_without_its_suffix_is_told_how_it_is_known(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"leave out --field.*suffix, \.csv or \.tsv"):
        texts_of(write(tmp_path, "table", "id,text\n1,x\n"), "text")
