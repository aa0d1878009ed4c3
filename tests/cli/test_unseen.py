"""What the model does not see of texts: every command says it, and none drops a text for it."""

import json
from pathlib import Path

import pytest

from minilm_onnx import SentenceEncoder, near_duplicates, paraphrase_mining
from tests.support.files import write
from tests.support.running import run

SAME = "Dear team, thank you for reading this, which opens with our usual greeting. " * 20
LONG = [SAME + end for end in ("I want a refund.", "Cancel my paper.", "Our child was born.")]
CUT = "; 3 were cut at 256 tokens"
UNKNOWN = "; 1 are mostly unknown to the model"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write(tmp_path, "long.txt", "\n".join([*LONG, "猫在椅子上", "short"]) + "\n")


@pytest.mark.parametrize(
    "command",
    [
        ("embed", "{file}", "--out", "{folder}/v.npy"),
        ("dedupe", "{file}"),
        ("dedupe", "{file}", "--json"),
        ("dedupe", "{file}", "--out", "{folder}/fewer.txt"),
        ("cluster", "{file}"),
        ("cluster", "{file}", "--json"),
        ("similarity", "{file}", "--heatmap", "{folder}/map.html"),
        ("search", "{file}", "refund"),
        ("search", "{file}", "refund", "--json"),
        ("similarity", *LONG, "猫在椅子上", "short"),
    ],
)
def test_what_the_model_does_not_see_is_said_by_every_command(
    command: tuple[str, ...], file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [word.format(file=file, folder=file.parent) for word in command]
    code, _, said = run(capsys, *words)
    assert code == 0
    assert CUT + UNKNOWN in said
    assert said.count("\n") == 1


def test_json_tells_of_each_text_whether_it_was_cut(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = run(capsys, "search", file, "words", "--json")[1]
    found = {one["first_line"]: one["cut"] for one in json.loads(out)}
    assert found == dict(enumerate([True, True, True, False, False], 1))
    (group,) = json.loads(run(capsys, "cluster", file, "--json")[1])
    assert [one["cut"] for one in group] == [True] * 3
    twice = write(file.parent, "twice.txt", f"{LONG[0]}\n{LONG[0]}\nshort\nshort\n")
    found = json.loads(run(capsys, "dedupe", twice, "--json")[1])
    assert [(one["line"], one["cut"]) for one in found] == [(2, True), (4, False)]


def test_a_question_that_is_cut_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts = write(tmp_path, "texts.txt", "a cat\n")
    said = run(capsys, "search", texts, LONG[0])[2]
    assert said == "the question was cut at 256 tokens\n"
    pytest.importorskip("apsw", reason="minilm-onnx[search] is not installed")
    db = tmp_path / "texts.db"
    run(capsys, "index", texts, "--db", db)
    code, _, said = run(capsys, "search", "--db", db, LONG[0], "--json")
    assert (code, said) == (0, "the question was cut at 256 tokens\n")


def test_dedupe_drops_no_text_that_differs_only_in_what_is_not_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not even where the model would not tell the rest apart: its vocabulary has no emoji."""
    same = f"{LONG[0]} \t and more"
    lines = [*LONG, same, same.replace("\t", ""), f"{SAME}👍", f"{SAME}👎", LONG[0]]
    file = write(tmp_path, "long.txt", "\n".join(lines) + "\n")
    out = tmp_path / "kept.txt"
    assert run(capsys, "dedupe", file, "--out", out)[0] == 0
    assert out.read_text("utf-8").splitlines() == [*LONG, same, f"{SAME}👍", f"{SAME}👎"]


def test_near_duplicates_are_alike_in_what_is_not_read(encoder: SentenceEncoder) -> None:
    texts = ["short", *LONG, LONG[1]]
    vectors = encoder.encode(texts)
    assert [row for row, _, _ in near_duplicates(vectors)] == [2, 3, 4]
    found = near_duplicates(vectors, unread=encoder.unread(texts))
    assert [(row, of) for row, of, _ in found] == [(4, 2)]


def test_mining_warns_of_texts_that_were_cut(encoder: SentenceEncoder) -> None:
    with pytest.warns(UserWarning, match="3 of 3 texts are longer than 256 tokens"):
        pairs = paraphrase_mining(encoder, LONG)
    assert len(pairs) == 3


@pytest.mark.parametrize(
    "command",
    [
        ("embed", "long.txt", "--out", "./long.txt", "--format", "jsonl"),
        ("dedupe", "long.txt", "--out", "{folder}/long.txt"),
        ("similarity", "map.html", "--heatmap", "map.html"),
    ],
)
def test_no_output_takes_the_place_of_the_input(
    command: tuple[str, ...],
    file: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(file.parent)
    write(file.parent, "map.html", "a cat\na dog\n")
    before = [path.read_bytes() for path in sorted(file.parent.iterdir())]
    code, _, said = run(capsys, *(word.format(folder=file.parent) for word in command))
    assert (code, [path.read_bytes() for path in sorted(file.parent.iterdir())]) == (2, before)
    assert "expected another file than the input, got the input" in said


def test_similarity_says_that_a_file_s_name_was_compared(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, said = run(capsys, "similarity", str(file), "a cat")
    assert (code, out.count("\n")) == (0, 1)
    assert "is also a file: its name was compared; --heatmap OUT" in said
