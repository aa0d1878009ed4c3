"""All ids of a text, however long, in memory that does not grow with it."""

import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from tokenizers import Tokenizer
from tokenizers.pre_tokenizers import BertPreTokenizer

from minilm_onnx.arrays import IdArray

# Texts given to the tokenizer at a time, and their characters: its encodings weigh 100 to 600 bytes
# a character, far more than the ids kept of them.
SLICE, SLICE_CHARACTERS = 256, 2**17
# Characters after which a long text is cut, to be read in pieces.
PIECE = 2**14
# What it may be cut before, because BERT reads it as a word of its own or as a space, whatever
# stands on its other side; unless a token that is found as it stands, as <mask>, goes on with it.
CUT = r"[ \n\t\r!-/:-@\u3001\u3002\uff0c]"


def whole_ids(tokenizer: Tokenizer, texts: Iterable[str]) -> Iterator[IdArray]:
    """Give all ids of each text, (T,) int64; a long one is read in pieces, which changes none."""
    pieces: deque[int] = deque()  # of each text that is not complete yet
    can_cut = isinstance(tokenizer.pre_tokenizer, BertPreTokenizer)

    def cut_all() -> Iterator[str]:
        for text in texts:
            parts = [text]
            if can_cut and len(text) > PIECE:
                added = tokenizer.get_added_tokens_decoder().values()
                parts = cut(text, "".join(token.content[1:] for token in added))
            pieces.append(len(parts))
            yield from parts

    held: list[IdArray] = []
    for some in chunks(cut_all(), SLICE, SLICE_CHARACTERS):
        for encoding in tokenizer.encode_batch_fast(some):
            held.append(np.array(encoding.ids, dtype=np.int64))
            if len(held) == pieces[0]:
                yield _join(held)
                pieces.popleft()
                held = []


def cut(text: str, never: str) -> list[str]:
    """Cut a long text where the ids of its pieces are those of the whole.

    Args:
        text: longer than PIECE.
        never: characters that it is not cut before.
    """
    before = re.compile(f"(?![{re.escape(never)}]){CUT}") if never else re.compile(CUT)
    parts, first = [], 0
    while place := before.search(text, first + PIECE):
        parts.append(text[first : place.start()])
        first = place.start()
    return [*parts, text[first:]]


def _join(pieces: Sequence[IdArray]) -> IdArray:
    """Put the ids of a text's pieces together, with one [CLS] and one [SEP]."""
    if len(pieces) == 1:
        return pieces[0]
    first = pieces[0]
    return np.concatenate([first[:1], *(ids[1:-1] for ids in pieces), first[-1:]])


def chunks(texts: Iterable[str], count: int, characters: int) -> Iterator[list[str]]:
    """Give some texts at a time: so many, or fewer once they hold so many characters."""
    chunk: list[str] = []
    held = 0
    for text in texts:
        chunk.append(text)
        held += len(text)
        if len(chunk) == count or held >= characters:
            yield chunk
            chunk, held = [], 0
    if chunk:
        yield chunk
