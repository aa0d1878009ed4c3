"""Sentences of a passage, and the one that answers a question."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minilm_onnx import SentenceEncoder
from minilm_onnx.index.sentences import MOST, answering, sentences

MANUAL = """Orders ship on weekdays. Dr. A. Smith signs each, e.g. on Monday. Send it back within
ten days and the amount is paid out to the card you used! "Why?" It is the law.

1. Open the lid.
2. Press the red button until it
   blinks.
- Error XK9931: the tank is empty

| code | meaning |
|------|---------|
| 18 | no ink |
| 19 | 20 |

```sh
pip install minilm
```
Then run it."""
PARTS = [
    "Orders ship on weekdays.",
    "Dr. A. Smith signs each, e.g. on Monday.",
    "Send it back within\nten days and the amount is paid out to the card you used!",
    '"Why?"',
    "It is the law.",
    "1. Open the lid.",
    "2. Press the red button until it\n   blinks.",
    "- Error XK9931: the tank is empty",
    "| code | meaning |",
    "| 18 | no ink |",
    "| 19 | 20 |",
    "```sh\npip install minilm",
    "Then run it.",
]


def parts(text: str) -> list[str]:
    return [text[first:end] for first, end in sentences(text)]


def test_sentences_end_at_stops_blank_lines_items_and_rows() -> None:
    assert parts(MANUAL) == PARTS


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        ("...\n\n--", []),
        ("One only", ["One only"]),
        (
            "Version 1.2.3 of foo.bar is out. Get it.",
            ["Version 1.2.3 of foo.bar is out.", "Get it."],
        ),
        ("\u732b\u3002\u72d7\uff01\u9c7c", ["\u732b\u3002", "\u72d7\uff01", "\u9c7c"]),
        ("Is it?\u201d Yes. 3.", ["Is it?\u201d", "Yes.", "3."]),
    ],
)
def test_what_looks_like_the_end_of_a_sentence(text: str, found: list[str]) -> None:
    assert parts(text) == found


@given(st.text(st.sampled_from("aB1 .!\n|`-\t\u3002"), max_size=80))
def test_sentences_hold_all_that_is_written(text: str) -> None:
    places = sentences(text)
    assert all(first < end for first, end in places)
    assert all(end <= first for (_, end), (first, _) in pairwise(places))
    written = [place for place, letter in enumerate(text) if letter.isalnum()]
    assert all(any(first <= place < end for first, end in places) for place in written)


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("how do I get my money back", 2),
        ("XK9931", 7),  # found by its word
        ("the printer has no ink", 9),
    ],
)
def test_the_sentence_that_answers_is_found(
    encoder: SentenceEncoder, question: str, answer: int
) -> None:
    place = answering(encoder, encoder.encode_query(question), MANUAL)
    assert place is not None
    assert MANUAL[slice(*place)] == PARTS[answer]


def test_one_sentence_alone_answers_nothing(encoder: SentenceEncoder) -> None:
    query = encoder.encode_query("refunds")
    assert answering(encoder, query, "Refunds take ten days.") is None
    assert answering(encoder, query, "") is None


def test_of_a_long_text_the_beginning_is_compared(encoder: SentenceEncoder) -> None:
    text = "It rains. " * MOST + "Refunds take ten days."
    place = answering(encoder, encoder.encode_query("refunds"), text)
    assert place == (0, len("It rains."))
