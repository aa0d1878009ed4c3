"""The lines of a passage that a terminal shows, and its marked part among them."""

import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minilm_onnx.cli.excerpt import MOST_LINES, Span, excerpt
from minilm_onnx.cli.options import printable

WORDS = " ".join(f"word{number}" for number in range(60))
TABLE = "\n".join(["| code | meaning |", "|---|---|", *(f"| {n} | is {n} |" for n in range(9))])


def span(text: str, part: str) -> Span:
    return text.index(part), text.index(part) + len(part)


def joined(text: str, marked: Span | None, width: int) -> list[str]:
    return [f"{before}[{part}]{behind}" for before, part, behind in excerpt(text, marked, width)]


def test_a_marked_part_stands_where_it_stood() -> None:
    text = "One is red.\nTwo is\ngreen.  Three."
    assert joined(text, span(text, "Two is\ngreen."), 14) == [
        "One is red.[]",
        "[Two is green.]",
        "[]Three.",
    ]


def test_the_lines_around_a_marked_part_are_shown() -> None:
    """One before it, and what is left out on both sides is said."""
    lines = joined(WORDS, span(WORDS, "word30 word31"), 32)
    assert lines == [
        "... word26 word27 word28 word29[]",
        "[word30 word31] word32 word33",
        "[]word34 word35 word36 word37",
        "[]word38 word39 word40 word41",
        "[]word42 word43 word44 word45 ...",
    ]


def test_the_end_of_a_passage_fills_the_lines() -> None:
    lines = joined(WORDS, span(WORDS, "word59"), 32)
    assert len(lines) >= MOST_LINES - 1
    assert lines[0].startswith("... word")
    assert lines[-1].endswith("[word59]")


def test_rows_of_a_table_are_shown_around_the_marked_one() -> None:
    assert joined(TABLE, span(TABLE, "| 7 | is 7 |"), 30) == [
        "...[]",
        "| 5 | is 5 |[]",
        "| 6 | is 6 |[]",
        "[| 7 | is 7 |]",
        "[]| 8 | is 8 |",
    ]
    assert joined(TABLE, span(TABLE, "| 1 | is 1 |"), 30)[-2:] == ["[| 1 | is 1 |]", "...[]"]


def test_a_long_line_among_code_is_cut_around_the_marked_part() -> None:
    text = f"    code\n{WORDS} Then press it. And more.\n"
    _, line = joined(text, span(text, "Then press it."), 32)
    assert line == "... 58 word59 [Then press it.] ..."


@pytest.mark.parametrize("marked", [None, (4, 8)])
def test_control_characters_are_written_out(marked: Span | None) -> None:
    shown = "".join(map("".join, excerpt("a b \x1b[2J\x07 c", marked, 40)))
    assert shown == "a b \\x1b[2J\\x07 c"


PIECES = ("a", "word", "a-b", "...", "\n", "\n\n", "\t", "\x1b", "\u732b", "x" * 50)
PROSE = st.lists(st.sampled_from(PIECES[:-4] + PIECES[-3:]), max_size=150).map(" ".join)
LAID_OUT = st.lists(st.sampled_from((*PIECES, "\n| b |\n", "\n```\n")), max_size=150).map(" ".join)


@given(PROSE | LAID_OUT, st.integers(0, 900), st.integers(0, 900), st.integers(32, 72))
def test_the_beginning_of_a_marked_part_is_always_shown(
    text: str, first: int, end: int, width: int
) -> None:
    first, end = sorted((min(first, len(text)), min(end, len(text))))
    lines = excerpt(text, (first, end), width)
    assert len(lines) <= MOST_LINES
    assert all(len("".join(line)) <= width for line in lines)
    part = printable(text[first:end])
    shown = "".join(part for _, part, _ in lines)
    assert bool(shown.strip()) == bool(part)
    assert printable(text[first:end]).replace(" ", "").startswith(shown.replace(" ", "")[:20])


@given(PROSE, st.integers(32, 72))
def test_without_a_mark_the_beginning_is_shown(text: str, width: int) -> None:
    lines = ["".join(line) for line in excerpt(text, None, width)]
    assert lines == textwrap.wrap(printable(text), width, max_lines=MOST_LINES, placeholder=" ...")
