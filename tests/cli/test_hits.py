"""How search shows a passage on a terminal, and elsewhere."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from minilm_onnx.cli.hits import show
from minilm_onnx.index import sentences
from minilm_onnx.index.results import Hybrid, Result
from tests.support.running import run

CODE = "```python\ndef f(x):\n    return x\n\tif\x1b[2J:\n```\n\none more line\n"


def result(text: str) -> Result:
    metadata = {"lang": "en", "modified": "2026-01-31T00:00:00Z"}
    return Result(0.5, "notes.md", 3, 9, "Orders > Returns", text, metadata)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    if sys.platform == "win32":
        monkeypatch.setenv("WT_SESSION", "1")


@pytest.mark.usefixtures("terminal")
def test_a_terminal_gets_colours_that_tell_the_parts_apart() -> None:
    assert show(result("Send it back.")).splitlines() == [
        "\x1b[2m0.5000\x1b[0m  \x1b[1mnotes.md:3-9\x1b[0m  \x1b[36mOrders > Returns\x1b[0m",
        "        \x1b[2mlang: en\x1b[0m",
        "        Send it back.",
    ]


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_colours_can_be_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    assert "\x1b" not in show(result("Send it back."))


def test_a_pipe_gets_a_line_of_text_without_colours() -> None:
    assert show(result("Send it\nback.")).splitlines() == [
        "0.5000  notes.md:3-9  Orders > Returns",
        "        lang: en",
        "        Send it back.",
    ]


@pytest.mark.parametrize(
    ("words", "meaning", "said"),
    [(1, 3, "words #1, meaning #3"), (2, None, "words #2"), (None, 1, "meaning #1")],
)
def test_a_hybrid_result_shows_its_ranks(words: int | None, meaning: int | None, said: str) -> None:
    """A sum of reciprocal ranks, 0.0325 at best, would be taken for a poor cosine."""
    found = replace(result("Send it back."), hybrid=Hybrid(words, meaning, 0.4))
    assert show(found).splitlines()[0] == f"{said}  notes.md:3-9  Orders > Returns"


@pytest.mark.usefixtures("terminal")
def test_code_and_tables_keep_their_lines_on_a_terminal() -> None:
    """The first of them, cut at the edge; what commands a terminal is written out."""
    lines = show(result(CODE)).splitlines()[2:]
    assert [line[8:] for line in lines] == [
        "```python",
        "def f(x):",
        "    return x",
        "    if\\x1b[2J:",
        "...",
    ]
    (row,) = show(result(f"| {'wide ' * 20}|")).splitlines()[2:]
    assert len(row) == 40
    assert row.endswith(" ...")


QUESTION = "how do I get my money back"
ANSWER = "Send it back and the amount is paid out."
PASSAGE = f"The shop is open from eight to six. We have cats. {ANSWER} Do not feed them."


@pytest.fixture
def faq(tmp_path: Path) -> Path:
    path = tmp_path / "faq.txt"
    path.write_text(f"{PASSAGE}\nThe train leaves at noon.\n")
    return path


@pytest.mark.usefixtures("terminal")
def test_the_sentence_that_answers_is_bold(
    faq: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)  # that of capsys
    code, out, _ = run(capsys, "search", faq, QUESTION)
    assert code == 0
    assert [line[8:] for line in out.splitlines()[1:5]] == [
        "The shop is open from eight to",
        "six. We have cats. \x1b[1mSend it back\x1b[0m",
        "\x1b[1mand the amount is paid out.\x1b[0m Do",
        "not feed them.",
    ]
    # One sentence: there is nothing to choose.
    assert out.splitlines()[-1] == "        The train leaves at noon."


@pytest.mark.usefixtures("terminal")
def test_the_sentence_is_bold_in_passages_of_a_database(
    faq: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    for name in ("apsw", "sqlite_vec", "semantic_text_splitter", "markdown_it", "yaml"):
        pytest.importorskip(name, reason="minilm-onnx[search] is not installed")
    db = tmp_path / "faq.db"
    assert run(capsys, "index", faq, "--lines", "--db", db)[0] == 0
    for options in ((), ("--hybrid",)):
        _, out, _ = run(capsys, "search", "--db", db, *options, QUESTION)
        assert "\x1b[1mSend it back" in out


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_nothing_is_looked_for_where_colours_are_refused(
    faq: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    value: str,
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv(name, value)
    monkeypatch.setattr(sentences, "answering", None)
    code, out, _ = run(capsys, "search", faq, QUESTION)
    assert code == 0
    assert "\x1b" not in out


def test_nothing_is_looked_for_in_a_pipe(
    faq: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sentences, "answering", None)
    code, out, _ = run(capsys, "search", faq, QUESTION)
    assert code == 0
    assert out.splitlines()[1] == f"        {PASSAGE}"
    assert json.loads(run(capsys, "search", faq, QUESTION, "--json")[1])[0]["text"] == PASSAGE
