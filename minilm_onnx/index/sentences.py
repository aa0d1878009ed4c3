"""Which sentence of a passage answers a question, for those who show passages."""

import re

import numpy as np

from minilm_onnx.arrays import Vector
from minilm_onnx.encoder import DOCUMENT_PROMPTS, SentenceEncoder
from minilm_onnx.index.folding import folded

# A full stop that another sentence follows, with quotes closed; blank lines; and before and behind
# items of lists, rows of tables and lines of code. semantic-text-splitter knows sentences, but
# gives as many of them together as fit, and a file is searched without it.
BREAKS = re.compile(
    r"""[.!?\u2026]["'\u201d\u2019\u00bb)\]]*\s+(?=[^\sa-z])"""
    r"""|[\u3002\uff01\uff1f]["\u201d\u2019\u300d\u300f)]*"""
    r"""|\n\s*\n"""
    r"""|\n(?=\s*(?:[-*+\u2022]|\d+[.)])\s|\ {4}|\t|\s*(?:\||```|~~~))"""
    r"""|(?<=[|`~])\n"""
)
# Dots that end no sentence: of initials, of "e.g.", of titles.
SHORT = re.compile(r"\b(?:[A-Za-z]|[DM]rs?|Ms|Prof|St|No|Fig|vs|cf|etc)\.\Z")
# Characters of the longest of these, and one before it.
LONGEST = 6
# Of an item.
NUMBER = re.compile(r"\d+[.)]")
# A passage of an index has a dozen; a line of a file may be a book.
MOST = 64


def sentences(text: str) -> list[tuple[int, int]]:
    """Give where the sentences of a text begin and end, without the space around them.

    What has no letter or digit, such as the end of a block of code, is none. The number of an item
    belongs to the sentence behind it.
    """
    found: list[tuple[int, int]] = []
    start = 0
    for end in [*_breaks(text), len(text)]:
        piece = text[start:end]
        bare = piece.strip()
        if NUMBER.fullmatch(bare) and end < len(text):
            continue
        if any(map(str.isalnum, bare)):
            first = start + piece.index(bare)
            found.append((first, first + len(bare)))
        start = end
    return found


def _breaks(text: str) -> list[int]:
    return [
        found.end()
        for found in BREAKS.finditer(text)
        if not SHORT.search(text, max(0, found.start() - LONGEST), found.start() + 1)
    ]


def answering(encoder: SentenceEncoder, query: Vector, text: str) -> tuple[int, int] | None:
    """Find the sentence of a text that is nearest to a query in meaning.

    Args:
        encoder: that made the query's vector.
        query: (H,) float32.
        text: any; of a long one the first 64 sentences are compared.

    Returns:
        Where it begins and ends; None if there are not two to choose from.
    """
    places = sentences(text)[:MOST]
    if len(places) < 2:
        return None
    parts = [folded(text[first:end]) for first, end in places]
    vectors, _ = encoder.embed_texts(parts, prompt_names=DOCUMENT_PROMPTS)
    return places[int(np.argmax(vectors @ query))]
