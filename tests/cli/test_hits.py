"""How search shows a passage on a terminal, and elsewhere."""

import sys
from dataclasses import replace

import pytest

from minilm_onnx.cli.hits import show
from minilm_onnx.index.ranking import Hybrid, Result

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
