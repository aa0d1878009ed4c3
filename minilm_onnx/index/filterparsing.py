"""A filter as a text, such as `lang = 'en' and year >= 2020`, read into a tree."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn, get_args

from minilm_onnx.errors import InputError, describe, shorten
from minilm_onnx.index.filters import (
    ESCAPE,
    AllOf,
    AnyOf,
    Compare,
    Filter,
    IsNull,
    Like,
    Not,
    OneOf,
    Operator,
    Value,
    fields_in,
)
from minilm_onnx.reading.metadata import (
    MOMENT,
    MOST_CHARACTERS,
    NUMBER,
    as_moment,
    as_number,
)

# Values in a filter, and parentheses in each other; SQLite has limits not far beyond.
MOST_VALUES, MOST_DEPTH = 500, 50
MOST_TEXT = 100_000
OPERATORS: dict[str, Operator] = {one: one for one in get_args(Operator)}
# Operators of other languages, and what they are here.
SLIPS = {"==": "=", "<>": "!=", "=>": ">=", "=<": "<=", "&&": "and", "||": "or"}
OTHER_WORDS = {
    "contains": "= for a value of a list, or like '%text%'",
    "between": ">= and <=",
    "starts": "like 'text%'",
    "ends": "like '%text'",
}
WORDS = frozenset({"and", "or", "not", "in", "like", "is", "null", "true", "false"})
TOKEN = re.compile(
    r"""\s*(?:
      (?P<text>'(?:[^']|'')*')
    | (?P<quoted>"(?:[^"]|"")*")
    | (?P<symbol><=|>=|!=|[=<>(),])
    | (?P<bare>[\w.+-][^\s'"(),=<>!]*(?:[ ][0-9]{2}:[0-9]{2}[0-9:.Z+-]*)?)
    | (?P<end>\Z)
    | (?P<wrong>.)
    )""",
    re.VERBOSE | re.DOTALL,
)
LOOSE_DAY = re.compile(r"[0-9]{4}-[0-9]{1,2}(-[0-9]{1,2})?")
NAME = re.compile(r"[^\W\d][\w.-]*")
VALUE = "a value such as 'text', 3.5 or 2026-01-31"
REMEDY = "see docs/search.md for the syntax of filters"


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    word: str
    place: int

    @property
    def keyword(self) -> str:
        """In small letters, if it can be a word of the language or a symbol."""
        return self.word.lower() if self.kind in ("bare", "symbol") else ""


def parse_filter(text: str) -> Filter:
    """Read a filter.

    Args:
        text: comparisons of a field with a value (`=`, `!=`, `<`, `<=`, `>`, `>=`), `in (...)`,
            `like '...'`, `is null`, joined by `and`, `or`, `not` and parentheses.

    Raises:
        InputError: it cannot be read; the place in it is named.
    """
    if not isinstance(text, str):
        raise InputError(f"where: expected a str such as \"lang = 'en'\", got {describe(text)}")
    if len(text) > MOST_TEXT:
        raise InputError(
            f"where: expected at most {MOST_TEXT} characters, got {len(text)}; ask in parts"
        )
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"where: expected valid Unicode, got a lone surrogate at character {error.start + 1}"
        ) from None
    if "\0" in text:  # where SQLite ends a pattern, and PostgreSQL takes no text
        raise InputError(f"where: expected no NUL, got one at character {text.index(chr(0)) + 1}")
    return _Parser(text).whole()


def say_unknown(text: str, fields: Sequence[str]) -> str:
    """Say which fields of a filter no passage has, as one that is misspelt; "" for none.

    Args:
        text: the filter.
        fields: that passages have.
    """
    unknown = sorted(fields_in(parse_filter(text)) - {*fields})
    if not unknown:
        return ""
    there = f"there are {shorten(', '.join(fields))}" if fields else "none has any"
    return f"no passage has the field {shorten(', '.join(unknown))}; {there}"


class _Parser:
    """Reads a filter from left to right, a token ahead."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._depth = self._values = 0
        self._tokens = _tokens(text)
        self._next = 0

    def whole(self) -> Filter:
        found = self._any_of()
        if self._token.kind != "end":
            self._fail("and, or, or the end of the filter", self._slip(self._token.place))
        return found

    @property
    def _token(self) -> _Token:
        return self._tokens[self._next]

    def _take(self) -> _Token:
        token = self._token
        self._next += 1
        return token

    def _took(self, *words: str) -> str:
        """Take the next token if it is one of these; give which, or ""."""
        word = self._token.keyword
        if word not in words:
            return ""
        self._next += 1
        return word

    def _expect(self, word: str) -> None:
        if not self._took(word):
            self._fail(word)

    def _any_of(self) -> Filter:
        parts = [self._all_of()]
        while self._took("or"):
            parts.append(self._all_of())
        return parts[0] if len(parts) == 1 else AnyOf(tuple(parts))

    def _all_of(self) -> Filter:
        parts = [self._one()]
        while self._took("and"):
            parts.append(self._one())
        return parts[0] if len(parts) == 1 else AllOf(tuple(parts))

    def _one(self) -> Filter:
        if word := self._took("not", "("):
            self._depth += 1
            if self._depth > MOST_DEPTH:
                self._next -= 1
                self._fail(f"at most {MOST_DEPTH} parentheses and nots in each other")
            if word == "not":
                found: Filter = Not(self._one())
            else:
                found = self._any_of()
                self._expect(")")
            self._depth -= 1
            return found
        return self._test(self._field())

    def _field(self) -> str:
        token = self._token
        if token.kind == "quoted" and len(token.word) > 2:
            return self._take().word[1:-1].replace('""', '"')
        if token.kind != "bare" or token.keyword in WORDS or not NAME.fullmatch(token.word):
            self._fail('a field such as year or "last name"')
        return self._take().word

    def _test(self, field: str) -> Filter:
        if self._took("is"):
            negated = self._took("not")
            self._expect("null")
            self._count()
            return Not(IsNull(field)) if negated else IsNull(field)
        if self._took("not"):
            if self._token.keyword not in ("in", "like"):
                self._fail("in or like after not")
            return Not(self._test(field))
        if self._took("in"):
            self._expect("(")
            values = [self._value()]
            while self._took(","):
                values.append(self._value())
            if not self._took(")"):
                self._fail("a comma or )")
            return OneOf(field, tuple(values))
        if self._took("like"):
            if self._token.kind != "text":
                self._fail("a pattern such as '%refund%'")
            return Like(field, self._pattern())
        symbol = self._took("=", "!=", *OPERATORS)
        if not symbol:
            word = self._token.word.lower()
            hint = ""
            if word in OTHER_WORDS:
                hint = f"; write {OTHER_WORDS[word]}"
            elif self._token.kind == "bare" and NAME.fullmatch(self._token.word):
                hint = '; a field of several words is in double quotes: "last name"'
            self._fail("=, !=, <, <=, >, >=, in, like or is", hint)
        value = self._value()
        if symbol in OPERATORS:
            return Compare(field, OPERATORS[symbol], value)
        return OneOf(field, (value,)) if symbol == "=" else Not(OneOf(field, (value,)))

    def _value(self) -> Value:
        token = self._token
        if token.kind == "text":
            self._count()
            return self._take().word[1:-1].replace("''", "'")
        value: Value | None = None
        if token.kind == "bare":
            if token.keyword in ("true", "false"):
                value = token.keyword
            elif NUMBER.fullmatch(token.word):
                value = as_number(token.word)
            elif MOMENT.fullmatch(token.word):
                value = as_moment(token.word)
        if value is None:
            hint = self._slip(token.place - 1)
            if token.keyword == "null":
                hint = "; write is null, or is not null"
            elif token.kind == "quoted" or (token.kind == "bare" and NAME.fullmatch(token.word)):
                hint = (
                    f"; a text is in single quotes: '{shorten(token.word.strip(chr(34)))}' (in a "
                    "shell, with double quotes around the whole filter)"
                )
            elif MOMENT.fullmatch(token.word):
                hint = "; there is no such day"
            elif LOOSE_DAY.fullmatch(token.word):
                hint = "; write a day as 2026-01-31"
            self._fail(VALUE, hint)
        self._count()
        self._next += 1
        return value

    def _pattern(self) -> str:
        self._count()
        token = self._take()
        pattern = token.word[1:-1].replace("''", "'")
        if len(pattern) > MOST_CHARACTERS:
            self._next -= 1
            self._fail(f"a pattern of at most {MOST_CHARACTERS} characters")
        if (len(pattern) - len(pattern.rstrip(ESCAPE))) % 2:
            self._next -= 1
            self._fail(f"a character after the last {ESCAPE} of the pattern")
        return pattern

    def _slip(self, place: int) -> str:
        """Say what to write for an operator of another language at some place."""
        two = self._text[max(0, place) : place + 2]
        return f"; write {SLIPS[two]}" if two in SLIPS else ""

    def _count(self) -> None:
        self._values += 1
        if self._values > MOST_VALUES:
            self._fail(f"at most {MOST_VALUES} values")

    def _fail(self, expected: str, hint: str = "") -> NoReturn:
        token = self._token
        got = "the end of the filter" if token.kind == "end" else shorten(token.word)
        if token.kind == "wrong" and token.word in "'\"":
            got += ", a quote that is not closed"
        raise InputError(
            f"where: expected {expected} at character {token.place + 1}, got {got}"
            f"{hint or f'; {REMEDY}'}"
        )


def _tokens(text: str) -> list[_Token]:
    """Divide a filter into tokens, up to its end or to what can be none."""
    found = []
    for token in TOKEN.finditer(text):
        kind = token.lastgroup or "wrong"
        found.append(_Token(kind, token[kind], token.start(kind)))
        if kind in ("end", "wrong"):
            break
    return found
