"""How documents are split: nothing lost, nothing cut, lines and headings right."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minilm_onnx import SentenceEncoder
from minilm_onnx.index.passages import Passage, Splitter, judged
from minilm_onnx.reading.documents import LINE_ENDS, Document, read_documents
from tests.support.files import write

pytest.importorskip("semantic_text_splitter", reason="minilm-onnx[search] is not installed")
pytest.importorskip("markdown_it", reason="minilm-onnx[search] is not installed")

PAGE = """---
title: Orders
---
Before any heading.

# Orders

## Returns

Send it back within ten days.

```sh
# not a heading
```

Setext
------
Below it.

## Empty

### Deeper

Text of the deeper one.

# Last
"""


@pytest.fixture(scope="module")
def splitter(encoder: SentenceEncoder) -> Splitter:
    return Splitter(encoder.tokenizer, encoder.max_seq_length)


def split(splitter: Splitter, text: str, *, markdown: bool = False) -> list[Passage]:
    return list(splitter.split(Document(text, markdown=markdown)))


def test_markdown_is_split_at_headings_which_are_kept_above(splitter: Splitter) -> None:
    found = split(splitter, PAGE, markdown=True)
    assert [(p.headings, p.first_line) for p in found] == [
        ("", 1),
        ("", 4),
        ("Orders > Returns", 10),
        ("Orders > Setext", 18),
        ("Orders > Empty > Deeper", 24),
        ("", 26),
    ]
    assert "# not a heading" in found[2].text
    assert found[2].embedded.startswith("Orders > Returns\nSend it back")
    assert found[-1].text == "# Last"


def test_lines_say_where_a_passage_stands(splitter: Splitter) -> None:
    text = "\n\n".join(f"Paragraph {n}. " + "Some words follow here. " * 40 for n in range(12))
    lines = text.split("\n")
    found = split(splitter, text)
    assert len(found) > 6
    for passage in found:
        stands = "\n".join(lines[passage.first_line - 1 : passage.last_line])
        assert passage.text in stands
        assert lines[passage.first_line - 1].strip()


PIECES = (
    *("word", "Ω", "猫", "a sentence ends here.", "\n", "\n\n", "# heading\n", "- item\n", " "),
    *("```\n", "| a | b |\n", "x" * 300, "> quoted\n", "\t", "\u2028", "1. one\n", "<b>b</b>"),
    *("\f", "\v", "\x85"),
    "---\n",
)
texts = st.lists(st.sampled_from(PIECES), max_size=400).map("".join)


@settings(max_examples=60)
@given(texts, st.booleans())
def test_whatever_the_text_nothing_is_cut_and_no_word_is_lost(text: str, markdown: bool) -> None:
    encoder = SHARED
    found = split(Splitter(encoder.tokenizer, encoder.max_seq_length), text, markdown=markdown)
    assert not any(report.cut for report in encoder.inspect([p.embedded for p in found]))
    lines = text.split("\n")
    for passage in found:
        stands = "\n".join(lines[passage.first_line - 1 : passage.last_line])
        assert passage.text in stands.translate(LINE_ENDS)
    for word in ("word", "Ω", "猫", "x"):  # 300 of which are one word, but may be two passages
        kept = sum((p.text + p.headings).count(word) for p in found)
        assert kept >= text.count(word) if markdown else kept == text.count(word)


SHARED = SentenceEncoder(threads=1)


def test_headings_leave_room_for_the_passage(splitter: Splitter, encoder: SentenceEncoder) -> None:
    text = f"# {'outer ' * 40}\n\n## {'inner ' * 200}\n\n" + "Some words follow here. " * 300
    found = split(splitter, text, markdown=True)
    outer, *inner = found
    assert (outer.headings, outer.text[:9]) == ("", "# outer o")
    assert inner
    assert all(passage.headings.startswith("inner") for passage in inner)
    assert not any(report.cut for report in encoder.inspect([p.embedded for p in found]))


@pytest.mark.parametrize(
    "text",
    [
        f"# {'outer ' * 60}end\n\nbelow",
        f"# outer end\n\n## {'inner ' * 60}\n\nbelow",
        f"# {'outer ' * 60}end\n\n## inner\n\nbelow",
        f"{'x' * 600}end\n---\nbelow",
    ],
)
def test_a_heading_that_cannot_be_named_whole_is_text_too(splitter: Splitter, text: str) -> None:
    found = split(splitter, text, markdown=True)
    read = " ".join(f"{passage.headings} {passage.text}" for passage in found)
    assert "end" in read
    assert "below" in read


@pytest.mark.parametrize("limit", [3, 4, 8, 512])
def test_a_model_of_any_length_is_served(encoder: SentenceEncoder, limit: int) -> None:
    splitter = Splitter(encoder.tokenizer, limit)
    for passage in split(splitter, "# Head\n\n" + "one two three. " * 200, markdown=True):
        assert len(encoder.tokenizer.encode(passage.embedded).ids) <= limit


@pytest.mark.parametrize("text", ["", " \n\t\n", "# \n\n#\n", "---\n---\n"])
def test_blank_documents_have_hardly_a_passage(splitter: Splitter, text: str) -> None:
    assert all(passage.text.strip() for passage in split(splitter, text, markdown=True))
    assert split(splitter, " \n\n ") == []


def test_a_row_is_one_place_whatever_is_in_it(tmp_path: Path, splitter: Splitter) -> None:
    text = "\\n".join(f"Sentence {n} of a long row, with words in it." for n in range(60))
    path = write(tmp_path, "a.jsonl", '{"text": "first"}\n{"text": "' + text + '"}\n')
    second = list(splitter.split(read_documents(path)[1]))
    assert len(second) > 2
    assert {(passage.first_line, passage.last_line) for passage in second} == {(2, 2)}
    table = write(tmp_path, "a.csv", 'note,text\n"one\ntwo\nthree",here\nx,there\n')
    (here,), (there,) = (list(splitter.split(one)) for one in read_documents(table))
    assert (here.first_line, here.last_line, there.first_line) == (2, 4, 5)


def test_a_lone_carriage_return_loses_no_line(splitter: Splitter) -> None:
    text = "# One\n\nfirst\rstill first\n\nsentence alpha\n\n# Two\n\nsentence beta\n"
    found = split(splitter, text, markdown=True)
    assert [(p.headings, p.first_line) for p in found] == [("One", 3), ("Two", 9)]
    assert "sentence alpha" in found[0].text


@pytest.mark.parametrize("top", ["+++\ntitle = 'X'\n+++", "---\ndate created: Monday\n---"])
def test_front_matter_is_a_passage_without_headings(splitter: Splitter, top: str) -> None:
    found = split(splitter, f"{top}\nWater the roses.\n\n# One\n\ntext", markdown=True)
    assert [(p.headings, p.first_line, p.text) for p in found] == [
        ("", 1, top),
        ("", 4, "Water the roses."),
        ("One", 8, "text"),
    ]


def test_a_rule_at_the_top_is_no_front_matter(splitter: Splitter) -> None:
    text = "---\n# Welcome\n\nfirst part\n\n---\n\nsecond part\n"
    assert split(splitter, text, markdown=True)[-1].headings == "Welcome"


@pytest.mark.parametrize("unit", ["words on one line ", "\u732b", "`", "# h\n\ntext\n\n"])
def test_a_long_text_is_split_in_blocks_without_a_loss(splitter: Splitter, unit: str) -> None:
    text = unit * (300_000 // len(unit))
    found = split(splitter, text)
    assert "".join("".join(p.text for p in found).split()) == "".join(text.split())


@pytest.mark.parametrize("markdown", [False, True])
def test_a_page_is_a_passage_and_its_lines_are_those_of_the_file(
    splitter: Splitter, markdown: bool
) -> None:
    text = "one\ntwo\n\fthree\vfour\nfive\fsix\x85seven"
    found = split(splitter, text, markdown=markdown)
    assert [(p.text, p.first_line, p.last_line) for p in found] == [
        ("one\ntwo", 1, 2),
        ("three\nfour\nfive", 3, 4),
        ("six\nseven", 4, 4),
    ]
    lines = [p.first_line for p in split(splitter, "a\fb\n\fc\n\fd", markdown=markdown)]
    assert lines == [1, 1, 2, 3]


def test_a_passage_is_bounded_by_characters_too(splitter: Splitter) -> None:
    most = 10 * splitter.capacity
    text = "Before it. " + "k" * 12_000 + " Behind it."
    found = split(splitter, text)
    assert "".join("".join(p.text for p in found).split()) == "".join(text.split())
    assert max(len(p.text) for p in found) == most
    *_, headed = split(splitter, f"# {'k' * 12_000}\n\ntext", markdown=True)
    assert 0 < len(headed.headings) <= most
    words = "An ordinary sentence of words. " * 400
    assert all(p.text.endswith(".") and len(p.text) > 800 for p in split(splitter, words)[:-1])


def test_the_unknown_is_counted_by_characters(encoder: SentenceEncoder) -> None:
    key = "k" * 300
    for text, share in (("a cat", 0.0), ("", 0.0), (key, 1.0), (f"{'ab ' * 50}{key}", 0.75)):
        assert encoder.unknown_characters(text) == share
    mixed, plain = f"{'ab ' * 50}{key}", "a cat"
    reports = judged(encoder, [mixed, plain], encoder.inspect([mixed, plain]))
    assert [report.unreadable for report in reports] == [True, False]
    assert not any(report.unreadable for report in encoder.inspect([mixed, plain]))


@pytest.mark.parametrize("unit", ["ﷺ ", "㌖", "2½ ", "a™", "stuﬃng ", "… ", "Ａ℃"])
def test_forms_that_are_embedded_as_more_tokens_are_not_cut(
    splitter: Splitter, encoder: SentenceEncoder, unit: str
) -> None:
    text = f"# {unit * 100}\n\n{unit * 400}"
    found = split(splitter, text, markdown=True)
    assert found
    assert not any(report.cut for report in encoder.inspect([p.embedded for p in found]))
