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
CUT = r" \n\t\r!-/:-@\u3001\u3002\uff0c"
# Likewise what it puts spaces around, if it does that: its `handle_chinese_chars`.
IDEOGRAPHS = r"\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002a6df"


def whole_ids(tokenizer: Tokenizer, texts: Iterable[str]) -> Iterator[IdArray]:
    """Give all ids of each text, (T,) int64; a long one is read in pieces, which changes none."""
    held: list[IdArray] = []
    for some in piece_ids(tokenizer, texts):
        for ids, last in some:
            held.append(ids)
            if last:
                yield _join(held)
                held = []


def piece_ids(tokenizer: Tokenizer, texts: Iterable[str]) -> Iterator[list[tuple[IdArray, bool]]]:
    """Read texts a call of the tokenizer at a time.

    Yields:
        of each call, the ids of some pieces, each with its own [CLS] and [SEP], and whether a
        piece is the last of its text.
    """
    before = where_to_cut(tokenizer)
    ends: deque[bool] = deque()  # of each piece: whether its text ends with it

    def cut_all() -> Iterator[str]:
        for text in texts:
            left = len(text)
            for piece in cut(text, before):
                left -= len(piece)
                ends.append(not left)
                yield piece

    for some in chunks(cut_all(), SLICE, SLICE_CHARACTERS):
        encodings = tokenizer.encode_batch_fast(some)
        yield [(np.array(encoding.ids, dtype=np.int64), ends.popleft()) for encoding in encodings]


def cut(text: str, before: re.Pattern[str] | None) -> Iterator[str]:
    """Cut a long text where the ids of its pieces are those of the whole.

    Args:
        text: of any length.
        before: what it may be cut before; None where it must stay whole.
    """
    first = 0
    while before and (place := before.search(text, first + PIECE)):
        yield text[first : place.start()]
        first = place.start()
    yield text[first:] if first else text


def where_to_cut(tokenizer: Tokenizer) -> re.Pattern[str] | None:
    """Give what a long text may be cut before; None where it must be read whole."""
    if not isinstance(tokenizer.pre_tokenizer, BertPreTokenizer):
        return None
    ideographs = getattr(tokenizer.normalizer, "handle_chinese_chars", False)
    places = f"[{CUT}{IDEOGRAPHS if ideographs else ''}]"
    added = tokenizer.get_added_tokens_decoder().values()
    never = "".join(token.content[1:] for token in added)
    return re.compile(f"(?![{re.escape(never)}]){places}" if never else places)


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
