"""Arrow and Parquet: vectors beside the columns they belong to, readable by other tools."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minilm_onnx import InputError, SentenceEncoder
from minilm_onnx.arrays import IdArray
from minilm_onnx.cli import main
from minilm_onnx.engine.session import Session
from minilm_onnx.reading.columnar import ColumnarFile
from minilm_onnx.tables.parts import Part, read_lines
from minilm_onnx.vectors.quantization import int8_codes

pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
pq = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")

TEXTS = ["a cat", None, "a dog", "", "a cat"]


def table() -> Any:
    columns = {"id": list(range(5)), "body": TEXTS, "tags": [["x"], [], None, ["y", "z"], []]}
    return pa.table(columns).replace_schema_metadata({"who": "somebody"})


def write(path: Path, rows: Any) -> Path:
    if path.suffix == ".parquet":
        pq.write_table(rows, path)
    else:
        with pa.ipc.new_file(path, rows.schema) as writer:
            writer.write_table(rows)
    return path


def read(path: Path) -> Any:
    if path.suffix == ".parquet":
        return pq.read_table(path)
    with pa.memory_map(str(path)) as source:
        return pa.ipc.open_file(source).read_all()


def vectors_of(rows: Any, column: str = "embedding") -> list[Any]:
    found: list[Any] = rows[column].to_pylist()
    return found


@pytest.mark.parametrize("source", ["in.parquet", "in.arrow"])
@pytest.mark.parametrize("target", ["out.parquet", "out.arrow"])
def test_a_table_keeps_its_columns_and_gets_one_of_vectors(
    tmp_path: Path, source: str, target: str, encoder: SentenceEncoder
) -> None:
    given = write(tmp_path / source, table())
    out = tmp_path / target
    assert main(["embed", str(given), "--field", "body", "--out", str(out)]) == 0
    found = read(out)
    assert found.select(["id", "body", "tags"]).equals(table())
    assert found.schema.field("embedding").type == pa.list_(pa.float32(), 384)
    rows = vectors_of(found)
    assert rows[1] is None
    kept = np.array([row for row in rows if row is not None], dtype=np.float32)
    assert np.array_equal(kept, encoder.encode([text for text in TEXTS if text is not None]))
    assert found.schema.metadata == {
        b"who": b"somebody",
        b"minilm_onnx.fingerprint": encoder.fingerprint.encode(),
        b"minilm_onnx.runtime": encoder.runtime.encode(),
        b"minilm_onnx.precision": b"float32",
    }


def test_int8_is_a_quarter_and_the_cosines_stay(tmp_path: Path, encoder: SentenceEncoder) -> None:
    texts = [f"text number {number} about something" for number in range(300)]
    given = tmp_path / "texts.txt"
    given.write_text("\n".join(texts) + "\n", "utf-8")
    out = tmp_path / "out.parquet"
    options = ["--precision", "int8", "--column", "v"]
    assert main(["embed", str(given), "--out", str(out), *options]) == 0
    found = read(out)
    assert found["text"].to_pylist() == texts
    assert found.schema.field("v").type == pa.list_(pa.int8(), 384)
    codes = np.array(vectors_of(found, "v"), dtype=np.int8)
    vectors = encoder.encode(texts)
    assert np.array_equal(codes, int8_codes(vectors))
    units = codes / np.linalg.norm(codes.astype(np.float64), axis=1, keepdims=True)
    assert (units * vectors).sum(axis=1).min() > 0.999
    plain = tmp_path / "plain.parquet"
    assert main(["embed", str(given), "--out", str(plain)]) == 0
    assert out.stat().st_size < plain.stat().st_size / 2.5


def test_a_table_may_become_another_output(tmp_path: Path, encoder: SentenceEncoder) -> None:
    rows = pa.table({"body": ["a cat", "a dog"]})
    given = write(tmp_path / "in.parquet", rows)  # its only column of texts needs no name
    out = tmp_path / "out.npy"
    assert main(["embed", str(given), "--out", str(out), "--resume"]) == 0
    assert np.array_equal(np.load(out), encoder.encode(["a cat", "a dog"]))


def test_strings_of_every_kind_are_texts(tmp_path: Path, encoder: SentenceEncoder) -> None:
    words = ["a cat", "a dog"]
    kinds = [
        pa.string(),
        pa.large_string(),
        pa.string_view(),
        pa.dictionary(pa.int8(), pa.string()),
    ]
    for number, kind in enumerate(kinds):
        given = write(tmp_path / f"{number}.arrow", pa.table({"t": pa.array(words).cast(kind)}))
        out = tmp_path / f"{number}.parquet"
        assert main(["embed", str(given), "--out", str(out)]) == 0
        assert np.array_equal(np.array(vectors_of(read(out)), np.float32), encoder.encode(words))


def test_an_empty_table_gives_an_empty_one(tmp_path: Path) -> None:
    given = write(tmp_path / "in.parquet", table().slice(0, 0))
    out = tmp_path / "out.parquet"
    assert main(["embed", str(given), "--field", "body", "--out", str(out)]) == 0
    assert read(out).num_rows == 0
    assert read(out).schema.field("embedding").type == pa.list_(pa.float32(), 384)


def test_duckdb_pandas_and_lancedb_read_it(tmp_path: Path, encoder: SentenceEncoder) -> None:
    given = write(tmp_path / "in.parquet", pa.table({"t": ["a cat", "a dog", "a car"]}))
    out = tmp_path / "out.parquet"
    assert main(["embed", str(given), "--out", str(out)]) == 0
    expected = encoder.encode(["a cat", "a dog", "a car"])
    duckdb = pytest.importorskip("duckdb", reason="duckdb is not installed")
    ((nearest,),) = duckdb.sql(
        f"select t from '{out}' order by array_cosine_similarity(embedding::float[384], "
        f"(select embedding::float[384] from '{out}' where t = 'a cat')) desc limit 1 offset 1"
    ).fetchall()
    scores = expected[1:] @ expected[0]
    assert nearest == ["a dog", "a car"][int(scores.argmax())]
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    frame = pandas.read_parquet(out)
    assert np.array_equal(np.stack(frame["embedding"]), expected)
    lancedb = pytest.importorskip("lancedb", reason="lancedb is not installed")
    kept = lancedb.connect(tmp_path / "lance").create_table("t", pq.read_table(out))
    (found,) = kept.search(expected[0]).limit(1).to_list()
    assert found["t"] == "a cat"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["two.parquet", "--out", "out.parquet"], "expected --field with one of its columns"),
        (["in.parquet", "--field", "id", "--out", "out.parquet"], "columns of texts"),
        (["in.parquet", "--field", "body", "--out", "out.npy"], "row 2: expected a text, got null"),
        (["in.parquet", "--field", "body", "--out", "out.parquet", "--column", "id"], "new name"),
        (["in.parquet", "--field", "body", "--out", "in.parquet"], "another file"),
        (["in.parquet", "--field", "body", "--out", "x.arrow", "--resume"], "--resume"),
        (["in.parquet", "--field", "body", "--format", "parquet"], "--out FILE"),
        (["in.parquet", "--field", "body", "--out", "x.npy", "--precision", "int8"], "--precision"),
        (["broken.parquet", "--out", "out.parquet"], "a readable Parquet file"),
        (["broken.arrow", "--out", "out.parquet"], "a readable Arrow IPC file"),
        (["missing.parquet", "--out", "out.parquet"], "missing.parquet"),
    ],
)
def test_what_cannot_be_is_said(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    write(Path("in.parquet"), table())
    write(Path("two.parquet"), pa.table({"a": ["x"], "b": ["y"]}))
    for name in ("broken.parquet", "broken.arrow"):
        Path(name).write_bytes(b"PAR1 and no more")
    before = sorted(tmp_path.iterdir())
    assert main(["embed", *arguments]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before
    assert read(Path("in.parquet")).equals(table())


def test_a_table_that_is_cut_off_leaves_nothing(tmp_path: Path) -> None:
    texts = [f"text {number}" for number in range(20_000)]
    given = write(tmp_path / "in.parquet", pa.table({"t": texts, "n": range(20_000)}))
    data = bytearray(given.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 2000] = b"\xff" * 2000
    given.write_bytes(data)
    assert main(["embed", str(given), "--out", str(tmp_path / "out.parquet")]) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["in.parquet"]


def test_equal_texts_are_embedded_once(
    tmp_path: Path, encoder: SentenceEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    run_each = Session.run_each

    def count(self: Session, batches: Sequence[Sequence[IdArray]], take: Any) -> None:
        seen.append(sum(map(len, batches)))
        run_each(self, batches, take)

    monkeypatch.setattr(Session, "run_each", count)
    given = write(tmp_path / "in.parquet", pa.table({"t": ["a cat", None, "a dog"] * 300}))
    assert main(["embed", str(given), "--out", str(tmp_path / "out.parquet")]) == 0
    (tmp_path / "in.txt").write_text("a cat\na dog\n" * 300, "utf-8")
    assert main(["embed", str(tmp_path / "in.txt"), "--out", str(tmp_path / "out.npy")]) == 0
    assert seen == [2, 2]
    found = vectors_of(read(tmp_path / "out.parquet"))
    assert np.array_equal(np.array(found[-1], np.float32), encoder.encode("a dog"))
    assert found[-2] is None


def test_long_texts_are_read_a_few_at_a_time(tmp_path: Path) -> None:
    texts = [f"{number} " + "x " * 50_000 for number in range(100)]
    for name in ("in.parquet", "in.arrow"):
        given = write(tmp_path / name, pa.table({"t": texts}))
        with ColumnarFile(str(given), None) as opened:
            held = [sum(len(text or "") for text in some) for _, some in opened.batches()]
        assert max(held) < 2**20 + 100_100
        assert sum(held) == sum(map(len, texts))
        assert len(held) >= 9
    with ColumnarFile(str(tmp_path / "in.parquet"), None) as opened:
        assert max(batch.nbytes for batch, _ in opened.batches()) < 2**22


def test_arrow_streams_are_read_too(tmp_path: Path, encoder: SentenceEncoder) -> None:
    given, out = tmp_path / "in.arrow", tmp_path / "out.npy"
    with pa.ipc.new_stream(given, pa.schema([("t", pa.string())])) as writer:
        for text in ("a cat", "a dog"):
            writer.write_table(pa.table({"t": [text]}))
    assert main(["embed", str(given), "--out", str(out)]) == 0
    assert np.array_equal(np.load(out), encoder.encode(["a cat", "a dog"]))


@pytest.mark.parametrize("kind", ["arrow", "parquet"])
def test_columns_with_dictionaries_that_differ(tmp_path: Path, kind: str) -> None:
    words = pa.dictionary(pa.int32(), pa.string())
    given, out = tmp_path / "in.parquet", tmp_path / f"out.{kind}"
    schema = pa.schema([("t", pa.string()), ("c", words)])
    with pq.ParquetWriter(given, schema) as writer:
        for number in range(3):
            column = pa.array([f"c{number}"]).cast(words)
            writer.write_table(pa.table({"t": [f"text {number}"], "c": column}))
    assert main(["embed", str(given), "--field", "t", "--out", str(out)]) == 0
    assert read(out)["c"].to_pylist() == ["c0", "c1", "c2"]


def test_parquet_is_written_in_groups_with_dictionaries_but_for_vectors(tmp_path: Path) -> None:
    rows = pa.table({"t": ["a cat"] * 20_000, "n": [7] * 20_000, "tags": [["x", "y"]] * 20_000})
    given, out = write(tmp_path / "in.parquet", rows), tmp_path / "out.parquet"
    assert main(["embed", str(given), "--field", "t", "--out", str(out)]) == 0
    metadata = pq.read_metadata(out)
    assert metadata.num_row_groups == 2
    columns = [metadata.row_group(0).column(place) for place in range(4)]
    assert [column.has_dictionary_page for column in columns] == [True, True, True, False]


def test_what_the_files_cannot_hold_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    twice = pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], names=["t", "t"])
    intervals = pa.table({"t": ["a"], "i": pa.array([pa.MonthDayNano([1, 2, 3])])})
    letters = pa.StringArray.from_buffers(
        1, pa.py_buffer(np.array([0, 1], np.int32)), pa.py_buffer(b"\xff")
    )
    broken = pa.table({"t": letters})
    for rows, words in (
        (twice, "one column of that name"),
        (intervals, "columns that .parquet can hold"),
        (broken, "expected to read the rest"),
    ):
        given = write(tmp_path / "in.arrow", rows)
        out = tmp_path / "out.parquet"
        assert main(["embed", str(given), "--field", "t", "--out", str(out)]) == 2
        error = capsys.readouterr().err
        assert words in error
        assert error.count("\n") == 1
        assert not out.exists()
    if sys.platform == "linux":
        assert main(["embed", str(tmp_path / "\udcff.parquet"), "--out", str(out)]) == 2
        assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("name", ["in.parquet", "in.arrow"])
def test_commands_that_compare_read_a_column(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = ["I want my money back", "the train is late", "I want my money back!"]
    given = write(tmp_path / name, pa.table({"id": [1, 2, 3], "body": texts}))
    kept = given.with_stem("kept")
    assert main(["dedupe", str(given), "--out", str(kept)]) == 0
    assert "the field 'body' of each row" in capsys.readouterr().err
    assert read(kept).to_pylist() == [{"id": n, "body": texts[n - 1]} for n in (1, 2)]
    assert main(["cluster", str(given), "--field", "body", "--json"]) == 0
    (group,) = json.loads(capsys.readouterr().out)
    assert [row["line"] for row in group] == [1, 3]
    assert main(["search", str(given), "refund", "--top", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["first_line"] in (1, 3)


@pytest.mark.parametrize("name", ["in.parquet", "in.arrow"])
def test_null_is_a_blank_row_where_blanks_are_left_out(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = [None, "I want my money back", None, "I want my money back", "the train is late"]
    given = write(tmp_path / name, pa.table({"id": range(5), "body": pa.array(texts)}))
    kept = given.with_stem("kept")
    assert main(["dedupe", str(given), "--out", str(kept)]) == 0
    assert read(kept)["id"].to_pylist() == [0, 1, 2, 4]
    assert main(["cluster", str(given), "--json"]) == 0
    (group,) = json.loads(capsys.readouterr().out)
    assert [row["line"] for row in group] == [2, 4]
    assert main(["search", str(given), "refund", "--top", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["first_line"] == 2
    assert main(["similarity", str(given), "--heatmap", str(tmp_path / "x.html")]) == 0
    assert "3 texts to" in capsys.readouterr().err
    for out in ("x.npy", "x.jsonl", "x.csv"):
        assert main(["embed", str(given), "--out", str(tmp_path / out)]) == 2
        assert "row 1: expected a text, got null" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_embed_to_a_table_says_which_column_it_read(
    tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = write(tmp_path / "in.parquet", pa.table({"id": [1], "body": ["a cat"]}))
    out = tmp_path / f"out.{kind}"
    assert main(["embed", str(given), "--out", str(out)]) == 0
    said = capsys.readouterr().err
    assert "read the field 'body' of each row" in said
    assert said.count("\n") == 1
    assert main(["embed", str(given), "--field", "body", "--out", str(out)]) == 0
    assert "of each row" not in capsys.readouterr().err


def test_dedupe_of_a_stream_with_several_dictionaries(tmp_path: Path) -> None:
    words = pa.dictionary(pa.int32(), pa.string())
    given, kept = tmp_path / "in.arrow", tmp_path / "kept.arrow"
    with pa.ipc.new_stream(given, pa.schema([("t", pa.string()), ("c", words)])) as writer:
        for number in range(3):
            column = pa.array([f"c{number}"]).cast(words)
            writer.write_table(pa.table({"t": [f"text {number}"], "c": column}))
    assert main(["dedupe", str(given), "--field", "t", "--threshold", "1", "--out", str(kept)]) == 0
    assert read(kept)["c"].to_pylist() == ["c0", "c1", "c2"]


def test_dedupe_says_what_a_file_cannot_hold(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = write(tmp_path / "in.parquet", pa.table({"t": ["a cat", "a dog"]}))

    def full(*_: object, **__: object) -> None:
        raise pa.ArrowNotImplementedError("no such column")

    monkeypatch.setattr(pq.ParquetWriter, "write_table", full)
    assert main(["dedupe", str(given), "--out", str(tmp_path / "kept.parquet")]) == 2
    assert "expected columns that .parquet can hold" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["in.parquet"]


def test_dedupe_writes_every_column_of_parquet_with_a_dictionary(tmp_path: Path) -> None:
    rows = pa.table({"t": ["a cat", "the train is late"], "last": ["x", "x"]})
    given, kept = write(tmp_path / "in.parquet", rows), tmp_path / "kept.parquet"
    assert main(["dedupe", str(given), "--field", "t", "--out", str(kept)]) == 0
    group = pq.read_metadata(kept).row_group(0)
    assert [group.column(place).has_dictionary_page for place in range(2)] == [True, True]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{not json", "got something else"),
        ("[" * 99_999, "got something else"),
        ("[1]", "got list"),
    ],
)
def test_a_part_of_json_lines_names_the_line_that_is_no_object(
    tmp_path: Path, line: str, words: str
) -> None:
    fs = pytest.importorskip("pyarrow.fs", reason="pyarrow is not installed")
    path = tmp_path / "rows.jsonl"
    path.write_text(f'{{"text": "x"}}\n\n{line}\n')
    part = Part(str(path), 0, path.stat().st_size, -1)
    with pytest.raises(InputError) as caught:
        read_lines(fs.LocalFileSystem(), part)
    assert str(caught.value).startswith(f"{path}, the line {line[:9].rstrip()}")
    assert f"expected a JSON object, {words}" in str(caught.value)


def test_a_byte_order_mark_and_blank_lines_of_json_are_no_rows(tmp_path: Path) -> None:
    path = tmp_path / "rows.JSONL"
    lines = ['{"text": "x"}', '{"text": "\ufeffy"}']
    path.write_bytes(("\ufeff" + "\r\n \r\n".join(lines) + "\r\n\r\n").encode())
    size = path.stat().st_size
    fs = pytest.importorskip("pyarrow.fs", reason="pyarrow is not installed")
    for parts in ([(0, size)], [(0, 9), (9, size)]):
        found = [
            line
            for first, last in parts
            for line in read_lines(fs.LocalFileSystem(), Part(str(path), first, last, -1))[0]
        ]
        assert found == lines
