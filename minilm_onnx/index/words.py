"""The words of an index, for SQLite's FTS5, https://www.sqlite.org/fts5.html.

FTS5 takes what stands between spaces as words. Scripts that have no spaces between words are
written into it a letter at a time, and asked for by the letters that stand side by side, as other
engines do.
"""

import re
import unicodedata
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from minilm_onnx.index.folding import folded

if TYPE_CHECKING:
    import apsw

# Letters with their marks are words, in Thai and Hindi too. Nothing is kept but these, since a text
# that is to be deleted would have to be made into the same words as when it was written.
WORDS = """
    CREATE VIRTUAL TABLE words USING fts5 (
        headings, text, content='', contentless_delete=1,
        tokenize="porter unicode61 categories 'L* N* Co Mn Mc'"
    )
"""
# Words of a query that are searched for, and characters in which they are: more than the tokens
# that the model reads of it.
MOST_WORDS, MOST_CHARACTERS = 512, 2**14
# Letters that stand together in a question, in alphabets and in scripts of many more signs.
LETTERS, SIGNS = 3, 2
# Thai, Lao, Burmese, Khmer, Tai.
ALPHABETS = (
    r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u1950-\u19df\u1a20-\u1aaf\ua9e0-\ua9ff\uaa60-\uaadf"
)
# Chinese, Japanese; and Korean, whose words end in other words.
IDEOGRAPHS = (
    r"\u1100-\u11ff\u2e80-\u2fdf\u3005-\u3007\u3040-\u31bf\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    r"\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\U0001aff0-\U0001b16f\U00020000-\U0003ffff"
)
UNSPACED = re.compile(f"([{ALPHABETS}]+)|([{IDEOGRAPHS}]+)")
# Where a line may end, in scripts without spaces; other format characters are invisible, as are
# selectors of variants.
ZERO_WIDTH_SPACE = "\u200b"
SELECTORS = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]")


def written(text: str) -> str:
    """Give what FTS5 is to have of a text: letters of scripts without spaces stand alone."""
    if text.isascii():
        return text
    return UNSPACED.sub(lambda found: f" {' '.join(_letters(found[0]))} ", _plain(text))


def words_of(query: str) -> list[str]:
    """Give what FTS5 is to look for: words, and letters side by side with spaces between.

    SQLite's time grows with the square of their number; the vector is of its beginning, too.

    Returns:
        Each once, the first MOST_WORDS.
    """
    plain = _plain(query[:MOST_CHARACTERS])
    found: dict[str, None] = {}
    start = 0
    for run in UNSPACED.finditer(plain):
        found |= dict.fromkeys(_spaced(plain[start : run.start()]))
        letters = _letters(run[0])
        together = LETTERS if run[1] else SIGNS
        for first in range(max(1, len(letters) - together + 1)):
            found[" ".join(letters[first : first + together])] = None
        start = run.end()
    found |= dict.fromkeys(_spaced(plain[start:]))
    return list(found)[:MOST_WORDS]


def write_words(connection: "apsw.Connection", condition: str, *values: Any) -> None:
    """Write the words of passages that meet a condition."""
    rows: list[Any] = connection.execute(
        f"SELECT id, headings, text FROM passages WHERE {condition}", values
    ).fetchall()
    connection.executemany(
        "INSERT INTO words (rowid, headings, text) VALUES (?, ?, ?)",
        ((passage, written(headings), written(text)) for passage, headings, text in rows),
    )


def _plain(text: str) -> str:
    """Give a text folded, in small letters, without what is not seen in it."""
    if text.isascii():
        return text
    text = SELECTORS.sub("", folded(text).casefold().replace(ZERO_WIDTH_SPACE, " "))
    invisible = {letter for letter in set(text) if unicodedata.category(letter) == "Cf"}
    return text.translate({ord(letter): None for letter in invisible})


def _letters(run: str) -> list[str]:
    """Divide a run of letters, each with the marks that belong to it."""
    letters: list[str] = []
    for letter in run:
        if letters and unicodedata.category(letter).startswith("M"):
            letters[-1] += letter
        else:
            letters.append(letter)
    return letters


def _spaced(text: str) -> Iterator[str]:
    """Give the words of scripts that have spaces."""
    marks = {letter for letter in set(text) if unicodedata.category(letter).startswith("M")}
    for word in re.finditer(rf"[\w{''.join(marks)}]+", text):
        yield word[0]
