"""Folders into an index and questions to it, as a user does on the command line."""

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from minilm_onnx import InputError, SentenceEncoder
from minilm_onnx.index import indexing
from minilm_onnx.index.indexing import Outcome, index_paths, source_of
from minilm_onnx.index.sums import changed_at
from minilm_onnx.index.textindex import TextIndex
from tests.support.running import run

pytest.importorskip("apsw", reason="minilm-onnx[search] is not installed")
pytest.importorskip("sqlite_vec", reason="minilm-onnx[search] is not installed")
pytest.importorskip("semantic_text_splitter", reason="minilm-onnx[search] is not installed")

FILES = {
    "faq.md": "# Money\n\nRefunds take ten days.\n\n# Parcels\n\nParcels leave at noon.\n",
    "deep/rows.jsonl": '{"text": "The cat is called Miso."}\n{"text": "The dog is called Rex."}\n',
    "deep/table.csv": "id,text\n1,Trains leave at nine.\n2,Boats leave at ten.\n",
    "plain.txt": "Opening hours are from eight to six.\nOn Sundays the shop is closed.\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / "notes" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return tmp_path / "notes"


@pytest.fixture
def db(tmp_path: Path) -> Path:
    return tmp_path / "notes.db"


def names(index: TextIndex, folder: Path) -> set[str]:
    return {os.path.relpath(source, folder) for source in index.sources()}


def test_a_folder_is_indexed_and_answers(
    folder: Path, db: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, said = run(capsys, "index", folder, "--db", db)
    assert (code, out) == (0, "")
    assert "4 files indexed (7 passages, 7 of them embedded)" in said
    code, out, _ = run(capsys, "search", "--db", db, "how", "long until I get my money?", "--json")
    results = json.loads(out)
    assert code == 0
    assert len(results) == 5
    assert results[0] == {
        "score": results[0]["score"],
        "source": source_of(folder / "faq.md"),
        "first_line": 3,
        "last_line": 3,
        "headings": "Money",
        "text": "Refunds take ten days.",
        "metadata": {"modified": changed_at(folder / "faq.md")},
        "hybrid": None,
    }
    code, out, _ = run(capsys, "search", "--db", db, "name of the pet", "--top", "1", "--hybrid")
    ranks, place = out.splitlines()[0].split("  ")
    assert ranks == "words #1, meaning #2"
    assert place.endswith("deep/rows.jsonl:1")
    assert out.splitlines()[1] == "        The cat is called Miso."


def test_links_to_folders_are_named_and_links_to_files_read(
    folder: Path, db: Path, encoder: SentenceEncoder, capsys: pytest.CaptureFixture[str]
) -> None:
    shared = folder.parent / "shared"
    shared.mkdir()
    (shared / "a.txt").write_text("A shared text.")
    (folder / "shared").symlink_to(shared)
    (folder / "linked.txt").symlink_to(shared / "a.txt")
    code, _, said = run(capsys, "index", folder, "--db", db)
    assert code == 0
    assert "5 files indexed" in said
    assert f"1 linked folder left out ({folder / 'shared'})" in said
    assert "1 file indexed" in run(capsys, "index", folder / "shared", "--db", db)[2]
    with TextIndex(db, encoder) as index:
        assert {"linked.txt", "shared/a.txt"} <= names(index, folder)
        # Who named it wants it, though the folder above would not show it.
        assert index_paths(index, [folder]).removed == []


def test_a_second_run_does_only_what_changed(
    folder: Path, db: Path, encoder: SentenceEncoder, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, "index", folder, "--db", db)
    assert "4 files unchanged" in run(capsys, "index", folder, "--db", db)[2]
    (folder / "faq.md").write_text(FILES["faq.md"].replace("noon", "one"))
    (folder / "plain.txt").unlink()
    (folder / "deep" / "new.txt").write_text("Something new.")
    said = run(capsys, "index", folder, "--db", db)[2]
    assert "2 files unchanged; 2 files indexed (3 passages, 2 of them embedded); 1 gone" in said
    with TextIndex(db, encoder) as index:
        assert names(index, folder) == {
            *("faq.md", "deep/rows.jsonl", "deep/table.csv", "deep/new.txt")
        }
        assert [r.text for r in index.search("parcels", top_k=1)] == ["Parcels leave at one."]


def test_only_what_lies_below_the_given_paths_is_looked_after(
    folder: Path, db: Path, encoder: SentenceEncoder
) -> None:
    with TextIndex(db, encoder) as index:
        index.add("note to self", "from Python")
        index_paths(index, [folder])
        (folder / "plain.txt").unlink()
        (folder / "deep" / "rows.jsonl").unlink()
        assert index_paths(index, [folder / "deep"]).removed == [
            source_of(folder / "deep/rows.jsonl")
        ]
        assert index_paths(index, [folder / "plain.txt"]).removed == [
            source_of(folder / "plain.txt")
        ]
        assert len(index.sources()) == 3
        with pytest.raises(InputError, match=r"plain\.txt: expected a file or a folder, got none"):
            index_paths(index, [folder / "plain.txt"])


def test_a_file_that_was_named_stays_though_its_folder_would_not_show_it(
    folder: Path, db: Path, encoder: SentenceEncoder
) -> None:
    hidden = folder / ".hidden.notes"
    hidden.write_text("It is hidden.")
    with TextIndex(db, encoder) as index:
        index_paths(index, [hidden])
        outcome = index_paths(index, [folder])
        assert (outcome.removed, outcome.unchanged, len(outcome.changed)) == ([], 1, 4)
        hidden.write_text("It has changed.")
        assert list(index_paths(index, [folder]).changed) == [source_of(hidden)]


def test_fields_and_lines_are_chosen_and_another_choice_is_a_change(
    folder: Path, db: Path, encoder: SentenceEncoder
) -> None:
    table = folder / "deep" / "table.csv"
    with TextIndex(db, encoder) as index:
        index_paths(index, [table], text_field="id")
        assert [passage.text for passage in index.passages()] == ["1", "2"]
        index_paths(index, [table], text_field="text")
        assert index.search("train", top_k=1)[0].first_line == 2
        index_paths(index, [folder / "plain.txt"])
        assert index.sources()[source_of(folder / "plain.txt")] == 1
        index_paths(index, [folder / "plain.txt"], lines=True)
        assert index.sources()[source_of(folder / "plain.txt")] == 2


def test_how_a_file_was_read_is_remembered(
    folder: Path, db: Path, encoder: SentenceEncoder
) -> None:
    with TextIndex(db, encoder) as index:
        index_paths(index, [folder / "deep" / "table.csv"], text_field="id")
        index_paths(index, [folder / "plain.txt"], lines=True)
        before = index.sources()
        outcome = index_paths(index, [str(folder)])
        assert (outcome.unchanged, len(outcome.changed)) == (2, 2)
        assert index_paths(index, [folder], text_field="text").unchanged == 3  # one has another
        index_paths(index, [folder], lines=False)
        assert index.sources() != before
        with pytest.raises(InputError, match="expected a list of paths"):
            index_paths(index, str(folder))


def test_what_a_run_left_of_a_file_that_went_is_removed(
    folder: Path, db: Path, encoder: SentenceEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "long.txt").write_text("Some words of it. " * 900)
    monkeypatch.setattr("minilm_onnx.index.changes._publish", lambda *_: 1 / 0)
    monkeypatch.setattr("minilm_onnx.index.changes.CHUNK", 3)
    with TextIndex(db, encoder) as index:
        with pytest.raises(ZeroDivisionError):
            index_paths(index, [folder / "long.txt"])
        monkeypatch.undo()
        assert index.unfinished() == [source_of(folder / "long.txt")]
        (folder / "long.txt").unlink()
        index_paths(index, [folder])
        assert index.unfinished() == []


def test_files_that_cannot_be_read_stop_no_others_and_keep_what_there_was(
    folder: Path, db: Path, encoder: SentenceEncoder, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, "index", folder, "--db", db)
    (folder / "faq.md").write_bytes(b"caf\xe9")
    (folder / "plain.txt").write_bytes(b"\0\1\2")
    (folder / "deep" / "new.txt").write_text("Something new.")
    (folder / "link.txt").symlink_to("nowhere")
    code, _, said = run(capsys, "index", folder, "--db", db)
    assert code == 1
    warnings = [line for line in said.splitlines() if line.startswith("warning: ")]
    assert [Path(line.split(" ")[1].rstrip(":")).name for line in warnings] == [
        *("faq.md", "link.txt", "plain.txt")
    ]
    assert said.splitlines()[-1].startswith("error: ")
    assert "got 3 that cannot be" in said
    with TextIndex(db, encoder) as index:
        assert index.search("money back", top_k=1)[0].text == "Refunds take ten days."
        assert "deep/new.txt" in names(index, folder)


def test_a_named_file_that_cannot_be_read_is_wrong_input(
    folder: Path, db: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "faq.md").write_bytes(b"caf\xe9")
    code, _, said = run(capsys, "index", folder / "faq.md", "--db", db)
    assert code == 2
    assert "faq.md line 1: expected UTF-8" in said


@pytest.mark.skipif(sys.platform != "linux", reason="names of any bytes, as on Linux")
def test_a_name_that_is_no_text_is_refused(
    folder: Path, db: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / os.fsdecode(b"caf\xe9.txt")).write_text("text")
    code, _, said = run(capsys, "index", folder, "--db", db)
    assert code == 1
    assert "expected a name in UTF-8" in said
    assert "4 files indexed" in said


def test_nothing_is_made_for_a_path_that_leads_nowhere(
    tmp_path: Path, db: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, said = run(capsys, "index", tmp_path / "absent", "--db", db)
    assert (code, db.exists()) == (2, False)
    assert "absent: expected a file or a folder, got none" in said


def test_storage_and_rebuilding_on_the_command_line(
    folder: Path, db: Path, capsys: pytest.CaptureFixture[str], encoder: SentenceEncoder
) -> None:
    run(capsys, "index", folder, "--db", db)
    code, _, said = run(capsys, "index", folder, "--db", db, "--storage", "binary")
    assert (code, "--rebuild" in said) == (2, True)
    code, _, said = run(capsys, "index", folder, "--db", db, "--storage", "binary", "--rebuild")
    assert code == 0
    assert "7 passages, kept as binary\n" in said
    assert "Trains" in run(capsys, "search", "--db", db, "railway")[1]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("search", "--db", "{db}", " "), 2, "query: expected some words"),
        (("search", "--db", "{absent}", "x"), 2, "expected an index, got none"),
        (("search", "--db", "{text}", "x"), 2, "a file that is none"),
        (("search", "--db", "{db}", "x", "--top", "0"), 2, "--top"),
        (("search", "--db", "{db}", "x", "--field", "y"), 2, "--field"),
        (("search", "--db", "{db}", "x", "--source", "no/such"), 1, "no results"),
        (("search", "{text}"), 2, "expected a question after the file"),
        (("search", "{absent}", "x"), 2, "which is no file"),
        (("search", "{folder}", "x"), 2, "a folder is to be indexed first"),
        (("search", "{db}", "x"), 2, "--db"),
        (("search", "--db", "{db}", "{text}", "x"), 2, "expected a question, got the file"),
        (("index", "--db", "{db}"), 2, "expected files or folders"),
        (("index", "{text}", "--db", "notes.txt"), 2, "choose another, such as notes.db"),
        (("search", "{text}", " "), 2, "query: expected some words"),
        (("search", "{text}", "x", "--hybrid"), 2, "--hybrid: expected a database"),
        (("search", "{text}", "x", "--source", "y"), 2, "--source: expected a database"),
        (("search", "{empty}", "x"), 1, "no results"),
        (("index", "{text}", "--db", "{folder}"), 2, "a folder"),
        (("index", "{text}", "--db", "{text}"), 2, "got one as a text has"),
        (("index", "{text}", "--db", "new.db", "--field", "x"), 2, "--lines for JSON lines"),
        (("index", "{markdown}", "--db", "new.db", "--field", "x"), 2, "got Markdown"),
        (("search", "{markdown}", "x", "--field", "x"), 2, "got Markdown"),
    ],
)
def test_what_is_wrong_is_said_on_one_line(
    folder: Path,
    db: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    code: int,
    words: str,
) -> None:
    run(capsys, "index", folder, "--db", db)
    capsys.readouterr()
    text, empty = folder / "plain.txt", folder / "empty.txt"
    text.write_text("a line of text\n" * 99)
    empty.touch()
    places = {"db": db, "absent": folder / "absent", "text": text, "empty": empty, "folder": folder}
    places["markdown"] = folder / "faq.md"
    monkeypatch.chdir(folder.parent)  # where new.db may be made
    found, out, said = run(capsys, *(word.format(**places) for word in arguments))
    assert (found, out) == (code, "")
    assert words in said
    assert said.count("\n") == 1
    assert text.read_text() == "a line of text\n" * 99


def test_a_file_is_searched_without_a_database(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, said = run(
        capsys, "search", folder / "plain.txt", "is it closed on Sunday", "--top", "1"
    )
    assert (code, said) == (0, "")
    assert out.splitlines()[0].endswith("plain.txt:2")
    assert out.splitlines()[1].strip() == "On Sundays the shop is closed."
    out = run(capsys, "search", folder / "faq.md", "--json", "money back")[1]
    assert json.loads(out)[0]["headings"] == "Money"
    table = folder / "deep" / "table.csv"
    out = run(capsys, "search", table, "--field", "text", "ships", "--top", "1")[1]
    assert "Boats leave at ten." in out
    (folder / "long.txt").write_text("some words " * 400)
    said = run(capsys, "search", folder / "long.txt", "words")[2]
    assert "; 1 were cut at 256 tokens; index splits long ones" in said
    assert list(folder.glob("*.db*")) == []


def test_a_text_is_searched_without_the_packages_of_an_index(folder: Path) -> None:
    code = (
        "import sys\n"
        "for name in ('apsw', 'sqlite_vec', 'semantic_text_splitter', 'markdown_it', 'tqdm'):\n"
        "    sys.modules[name] = None\n"
        "from minilm_onnx.cli import main\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    for arguments, status, words in (
        (("search", "plain.txt", "closed on Sunday"), 0, "On Sundays the shop is closed."),
        (("search", "faq.md", "money"), 2, "pip install '.[search]'"),
        (("index", "faq.md", "--db", "a.db"), 2, "pip install '.[search]'"),
        (("search", "--db", "plain.txt", "x"), 2, "pip install '.[search]'"),
    ):
        result = subprocess.run(
            [sys.executable, "-c", code, *arguments],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == status, result.stderr
        assert words in result.stdout + result.stderr


RUN = """
import signal, sys
from minilm_onnx.cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_run_that_is_stopped_goes_on_where_it_was(
    folder: Path, db: Path, encoder: SentenceEncoder, number: int
) -> None:
    for name in range(60):
        text = "\n\n".join(f"Part {n} of text {name}. " + "And so on. " * 40 for n in range(4))
        (folder / f"{name:03}.txt").write_text(text)
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, "index", str(folder), "--db", str(db)],
        stderr=subprocess.PIPE,
        text=True,
    )
    while process.poll() is None and not (db.exists() and _sources(db) > 5):
        time.sleep(0.02)  # until it is at it
    process.send_signal(number)
    _, said = process.communicate()
    assert process.returncode in (-number, 128 + number)
    assert "Traceback" not in said
    with TextIndex(db, encoder) as index:
        done = index.sources()
        assert 5 < len(done) < 64
        assert set(done.values()) <= {1, 2, 4}
        outcome = Outcome()
        index_paths(index, [folder], outcome=outcome)
        assert outcome.unchanged == len(done)
        assert sum(index.sources().values()) == len(index) == 60 * 4 + 7


@pytest.mark.parametrize("name", ["a.txt", "a.md.gz", "a.jsonl", "a.parquet", "a.arrow"])
@pytest.mark.parametrize("step", ["sum_of", "read_whole", "read_documents"])
def test_a_file_that_changes_while_it_is_read_is_read_again(
    folder: Path,
    db: Path,
    encoder: SentenceEncoder,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    step: str,
) -> None:
    file = folder / name
    real = getattr(indexing, step)

    def meanwhile(*arguments: object, **more: object) -> object:
        if step != "sum_of":  # it changes before that, else behind it
            hold(file, "The cat is called Rex.")
        try:
            return real(*arguments, **more)
        finally:
            hold(file, "The cat is called Rex." if step == "sum_of" else "The cat is called Miso.")

    hold(file, "The cat is called Miso.")
    with TextIndex(db, encoder) as index:
        monkeypatch.setattr(indexing, step, meanwhile)
        index_paths(index, [file])
        monkeypatch.undo()
        hold(file, "The cat is called Miso.")
        index_paths(index, [file])
        assert [passage.text for passage in index.passages()] == ["The cat is called Miso."]
        assert index_paths(index, [file]).unchanged == 1


def hold(file: Path, text: str) -> None:
    """Put a text into a file of any kind."""
    if file.suffix in (".parquet", ".arrow"):
        pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
        from pyarrow import parquet

        rows = pa.table({"text": [text]})
        if file.suffix == ".parquet":
            parquet.write_table(rows, file)
            return
        with pa.ipc.new_file(file, rows.schema) as writer:
            writer.write_table(rows)
        return
    data = (json.dumps({"text": text}) if file.suffix == ".jsonl" else text).encode()
    file.write_bytes(gzip.compress(data) if file.suffix == ".gz" else data)


def _sources(db: Path) -> int:
    import apsw

    try:
        connection = apsw.Connection(str(db), apsw.SQLITE_OPEN_READONLY)
        count: int = connection.execute("SELECT count(*) FROM sources").get
        return count
    except apsw.Error:
        return 0


def test_two_runs_at_once_make_one_index(folder: Path, db: Path, encoder: SentenceEncoder) -> None:
    for name in range(40):
        (folder / f"{name:03}.txt").write_text(f"Text {name}. " * 100)
    command = [sys.executable, "-m", "minilm_onnx", "index", str(folder), "--db", str(db)]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    for process in processes:
        _, said = process.communicate()
        assert process.returncode == 0, said
    with TextIndex(db, encoder) as index:
        assert len(index.sources()) == 44
        assert index_paths(index, [folder]).unchanged == 44
        assert sum(index.sources().values()) == len(index)


def test_the_field_of_lines_is_for_files_that_were_named(
    folder: Path, db: Path, encoder: SentenceEncoder
) -> None:
    rows = folder / "rows.txt"
    rows.write_text('{"text": "no", "body": "The cat."}\n\n{"body": "The dog.\\u0000"}\n')
    with TextIndex(db, encoder) as index:
        index_paths(index, [rows], text_field="body", lines=True)
        assert [passage.text for passage in index.passages()] == ["The cat.", "The dog.\0"]
        assert index_paths(index, [rows]).unchanged == 1
        # In a folder, how it was read is remembered; other text has no fields.
        outcome = index_paths(index, [folder], text_field="text", lines=True)
        assert (outcome.refused, outcome.unchanged) == ({}, 1)
        assert index.sources()[source_of(folder / "plain.txt")] == 2
        assert index_paths(index, [folder], text_field="text").unchanged == 5


def test_the_field_text_is_not_any_only_column(
    folder: Path, db: Path, encoder: SentenceEncoder
) -> None:
    only = folder / "only.csv"
    only.write_text("body\nThe cat.\n")
    with TextIndex(db, encoder) as index:
        index_paths(index, [only])
        with pytest.raises(InputError, match="expected a column 'text'"):
            index_paths(index, [only], text_field="text")


def test_parquet_and_arrow_are_found_in_folders(
    folder: Path, db: Path, encoder: SentenceEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    from pyarrow import parquet

    rows = pa.table({"title": ["Pets", "Shops"], "text": ["The cat.", None]})
    parquet.write_table(rows, folder / "two.parquet")
    with pa.ipc.new_file(folder / "two.arrow", rows.schema) as writer:
        writer.write_table(rows)
    named = source_of(folder / "two.parquet"), source_of(folder / "two.arrow")
    with TextIndex(db, encoder) as index:
        index_paths(index, [folder], text_field="text")
        assert [index.sources()[name] for name in named] == [1, 1]
        for name in ("two.parquet", "two.arrow"):
            index_paths(index, [folder / name], text_field="title")
        assert [index.sources()[name] for name in named] == [2, 2]
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with TextIndex(folder.parent / "other.db", encoder) as index:
        outcome = index_paths(index, [folder])
        assert set(outcome.refused) == set(named)
        assert all("pip install '.[arrow]'" in str(error) for error in outcome.refused.values())
        assert len(outcome.changed) == 4
