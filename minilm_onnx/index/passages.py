"""Passages: pieces of a document that the model reads whole, with their lines and headings."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from tokenizers import Tokenizer

from minilm_onnx.encoder import SentenceEncoder
from minilm_onnx.errors import importing
from minilm_onnx.index.folding import folded, folding
from minilm_onnx.reading.documents import Document, pages
from minilm_onnx.reading.frontmatter import front_matter
from minilm_onnx.text.reports import TextReport

# Of the tokens that the model reads: four fifths for a passage, the rest for its headings.
SHARE = 0.8
BETWEEN = " > "
# Of a passage, for each token that it may have: a word of more than 100 is one unknown token.
CHARACTERS, LEAST = 10, 100
# Characters that are split at a time.
BLOCK = 2**14


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a document.

    Attributes:
        text: as it stands there, without space around it.
        first_line: where it begins, counted from 1.
        last_line: where it ends.
        headings: those above it, the outermost first; "" where there are none.
    """

    text: str
    first_line: int
    last_line: int
    headings: str = ""

    @property
    def embedded(self) -> str:
        """What the model reads of it: a passage says more below its headings."""
        return folded(f"{self.headings}\n{self.text}" if self.headings else self.text)


@dataclass(frozen=True, slots=True)
class Section:
    """What stands below a heading: lines from `first` to before `end`, counted from 0."""

    first: int
    end: int
    headings: tuple[str, ...] = ()


class Splitter:
    """Splits documents at headings, paragraphs, sentences and words, in that order.

    The semantic-text-splitter package does it, and markdown-it-py finds the headings of Markdown.
    """

    def __init__(self, tokenizer: Tokenizer, max_seq_length: int) -> None:
        """Prepare for a model.

        Args:
            tokenizer: counts the tokens.
            max_seq_length: tokens that the model reads, [CLS] and [SEP] included.

        Raises:
            InputError: the packages are not installed.
        """
        with importing("passages", "semantic-text-splitter", "search"):
            from semantic_text_splitter import MarkdownSplitter, TextSplitter
        room = max_seq_length - 2
        self.capacity = max(1, int(room * SHARE))
        self._most_headings = room - self.capacity
        self._tokenizer = folding(tokenizer)  # as what is embedded is folded
        self._by_characters = TextSplitter(max(LEAST, CHARACTERS * self.capacity))
        self._text = TextSplitter.from_huggingface_tokenizer(self._tokenizer, self.capacity)
        self._markdown = MarkdownSplitter.from_huggingface_tokenizer(self._tokenizer, self.capacity)

    def split(self, document: Document) -> Iterator[Passage]:
        """Give the passages of a document, in order; none of one that is blank."""
        if document.last_line:  # a row: wherever in it, its lines
            for passage in self._split(document.text, 1, markdown=False):
                yield replace(passage, first_line=document.first_line, last_line=document.last_line)
            return
        if not document.markdown:
            yield from self._split(document.text, document.first_line, markdown=False)
            return
        lines = document.text.split("\n")
        for section in sections(document.text, lines, self._has_room):
            text = "\n".join(lines[section.first : section.end])
            headings = self._shortened(section.headings)
            yield from self._split(text, document.first_line + section.first, headings)

    def _split(
        self, text: str, first_line: int, headings: str = "", *, markdown: bool = True
    ) -> Iterator[Passage]:
        splitter = self._markdown if markdown else self._text
        ends = [place for place, character in enumerate(text) if character == "\n"]
        for before, block in blocks(text):
            for start, chunk in self._fitting(splitter.chunk_indices(block)):
                for further, piece in self._by_characters.chunk_indices(chunk):
                    if piece.strip():  # not of control characters alone
                        begin = before + start + further
                        first = first_line + bisect_right(ends, begin - 1)
                        last = first_line + bisect_right(ends, begin + len(piece) - 1)
                        yield Passage(piece, first, last, headings)

    def _fitting(self, pieces: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str]]:
        """Halve pieces of more tokens than characters, which the splitter believes to fit."""
        for start, piece in pieces:
            if (
                len(piece) > self.capacity
                or piece.isascii()
                or self._tokens(piece) <= self.capacity
            ):
                yield start, piece
                continue
            middle = piece.rfind(" ", 0, len(piece) // 2) + 1 or len(piece) // 2
            if middle:
                rest = piece[middle:].lstrip()
                end = start + len(piece) - len(rest)
                yield from self._fitting([(start, piece[:middle].rstrip()), (end, rest)])
            else:  # a letter of more tokens than the model reads
                yield start, piece

    def _tokens(self, text: str) -> int:
        return len(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def _has_room(self, headings: tuple[str, ...]) -> bool:
        """Whether a passage can be named with these headings, whole."""
        joined = BETWEEN.join(headings)
        few = len(joined) <= CHARACTERS * self._most_headings
        return few and self._tokens(joined) <= self._most_headings

    def _shortened(self, headings: tuple[str, ...]) -> str:
        """Join headings, as many of the innermost ones as there is room for."""
        for skipped in range(len(headings)):
            if self._has_room(headings[skipped:]):
                return BETWEEN.join(headings[skipped:])
        if not headings or not self._most_headings:
            return ""
        joined = headings[-1]
        encoding = self._tokenizer.encode(joined, add_special_tokens=False)
        # Before the first token for which there is no room: a letter may be several tokens.
        beyond = encoding.offsets[self._most_headings :]
        end: int = beyond[0][0] if beyond else len(joined)
        return joined[: min(end, CHARACTERS * self._most_headings)].rstrip()


def judged(
    encoder: SentenceEncoder, texts: Sequence[str], reports: Sequence[TextReport]
) -> list[TextReport]:
    """Count what is unknown of passages by characters: a page without spaces is one token."""
    return [
        replace(one, unknown=encoder.unknown_characters(text)) if one.unknown else one
        for text, one in zip(texts, reports, strict=True)
    ]


def blocks(text: str) -> Iterator[tuple[int, str]]:
    """Cut a text at its pages, and long ones, since the splitter's time grows with their square.

    Yields:
        Where a block begins, and the block.
    """
    start = 0
    for page in pages(text):
        yield from ((start + place, block) for place, block in _parts(page))
        start += len(page) + 1


def _parts(text: str) -> Iterator[tuple[int, str]]:
    start = 0
    while len(text) - start > BLOCK:
        end = start + BLOCK
        for mark in ("\n\n", "\n", " "):
            place = text.rfind(mark, start + BLOCK // 2, end)
            if place >= 0:
                end = place + len(mark)
                break
        yield start, text[start:end]
        start = end
    yield start, text[start:]


def sections(
    text: str, lines: list[str], has_room: Callable[[tuple[str, ...]], bool]
) -> Iterator[Section]:
    """Divide Markdown at its headings, which are left out of the sections and named with them.

    A heading with nothing below it, not even another, is a section itself. One that cannot be
    named whole stays in the text too, so that none of its words are lost.

    Args:
        text: the whole.
        lines: of the text.
        has_room: whether headings, the outermost first, can be named whole.

    Raises:
        InputError: markdown-it-py is not installed.
    """
    with importing("passages", "markdown-it-py", "search"):
        from markdown_it import MarkdownIt
    skipped = front_matter(lines)
    if skipped:
        yield Section(0, skipped)
        text = "\n".join(lines[skipped:])
    # A lone carriage return ends a line there, but not here.
    tokens = MarkdownIt("commonmark").parse(text.replace("\r", " "))
    headings = [
        (skipped + token.map[0], skipped + token.map[1], int(token.tag[1:]), inline.content)
        for token, inline in pairwise(tokens)
        if token.type == "heading_open" and token.map and token.level == 0
    ]
    edges = [first for first, *_ in headings] + [len(lines)]
    yield Section(skipped, edges[0])
    above: list[tuple[int, str]] = []
    for place, (first, end, level, title) in enumerate(headings):
        above = [(outer, name) for outer, name in above if outer < level]
        edge = edges[place + 1]
        outer = tuple(name for _, name in above)
        above.append((level, _on_one_line(title)))
        names = tuple(name for _, name in above if name)
        if any(line.strip() for line in lines[end:edge]):
            yield Section(end if has_room(names) else first, edge, names)
            continue
        _, _, below, inner = headings[place + 1] if place + 1 < len(headings) else (0, 0, 0, "")
        if below <= level or not has_room((*names, _on_one_line(inner))):
            yield Section(first, end, outer)


def _on_one_line(title: str) -> str:
    return " ".join(title.split())
