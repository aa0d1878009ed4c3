"""Front matter, and what only looks like it."""

import pytest

from minilm_onnx.reading.frontmatter import front_matter

YAML = [
    "title: X",
    "title:",
    "date created: Monday, March 3rd 2025\ntags: [garden]",
    "# managed by a script\ntitle: X",
    "\ntitle: X\n",
    '"title": X',
    "'it''s': X",
    '"a \\" b": X',
    "dc.title: X",
    "dc:title: X",
    "作成日: 2025-03-03",
    "naïve key (old): X",
    "title : X",
    "2025: X",
    "_id: X",
    "-dash: X",
    "?: X",
    "C#: X",
    "tags:\n- garden\n- roses",
    "tags:\n  - garden\n\n  - roses",
    "author:\n  name: X\n  pages:\n    - one: 1",
    "author:\n\tname: X",
    "tags: [\n  a,\n  b\n]\nmore: {\n  a: 1\n}",
    "text: |\n  Some words.\n\n  # not a comment\n  More words.",
    "text: >-\n  Some words\nnext: X",
    "title: Foo: bar",
    "date: {{date}}",
    "url: https://example.org/a:b",
    "<<: *default",
    "draft: true # for now\n# the end",
    "title: X\r",
    "title:X\nother:Y",
    "tags: [a,\nb,\nc]\ndraft: true",
    "more: {a: 1,\nb: 2}",
    'summary: "Some words\nand more, without space before."\ndraft: true',
    "summary: 'It''s some\nwords'",
    "🌱 status: seedling",
]
NOT_YAML = [
    "",
    "\n\n",
    "Some words.",
    "Some words: like these.\n\nAnd a sentence below them.",
    "# Welcome\n\nfirst part",
    "# Welcome\n",
    "## One: two",
    "- one: 1\n- two: 2",
    "  indented: code",
    "**Note:** read this.",
    "> quoted: words",
    "| a: | b |\n| --- | --- |",
    "* one: 1",
    "[link]: https://example.org",
    "![image: of a cat](cat.png)",
    "https://example.org",
    "12:30 is lunch",
    "```\ntitle: X\n```",
    "<!-- title: X -->\nwords",
    "title: X\nwords without an end",
    "{ title: X }\nwords",
    "Note: [this] is a word.\n\nWords.",
    'Note: "this" is a word.\nWords.',
]
TOML = [
    'title = "X"',
    'title="X"\n\n[extra]\nlevel = 1',
    "# a comment\ndate = 2025-03-03",
    '[[items]]\nname = "a"',
    '"quoted key" = 1',
    'a.b = """\nlines\nof = text\n"""',
    "date = {{ .Date }}",
]


@pytest.mark.parametrize("inside", YAML)
@pytest.mark.parametrize("end", ["---", "...", "--- "])
def test_yaml_between_dashes_is_front_matter(inside: str, end: str) -> None:
    lines = f"---\n{inside}\n{end}\n\nWords.\n---\nMore.".split("\n")
    assert front_matter(lines) == inside.count("\n") + 3


def test_a_byte_order_mark_does_not_hide_it() -> None:
    assert front_matter(["\ufeff---", "title: X", "---"]) == 3


@pytest.mark.parametrize("inside", NOT_YAML)
def test_what_stands_between_two_rules_is_text(inside: str) -> None:
    assert front_matter(f"---\n{inside}\n---\n\nWords.".split("\n")) == 0


@pytest.mark.parametrize("inside", TOML)
def test_toml_between_pluses_is_front_matter(inside: str) -> None:
    assert front_matter(f"+++\n{inside}\n+++\n\nWords.".split("\n")) == inside.count("\n") + 3


@pytest.mark.parametrize(
    "text",
    [
        "",
        "---",
        "+++",
        "---\ntitle: X",
        "+++\ntitle = 'X'\n---\n",
        "---\ntitle: X\n+++",
        "+++\nadded lines\n+++",
        "+++\n+++",
        "\n---\ntitle: X\n---",
        " ---\ntitle: X\n---",
        "----\ntitle: X\n----",
        "title: X\n---",
    ],
)
def test_other_beginnings_are_text(text: str) -> None:
    assert front_matter(text.split("\n")) == 0


def test_a_long_text_between_rules_is_looked_at_once() -> None:
    lines = (
        "a " * 100_000,
        '"' * 100_001,
        "'" * 100_001,
        '"' + "\\" * 100_001,
        "1:" * 50_000 + "b",
    )
    for line in lines:
        assert front_matter(["---", line, "---"]) == 0
