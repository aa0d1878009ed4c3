"""Texts to tokens on a busy event loop: short ones together, long ones on another thread."""

import asyncio
from collections import deque
from collections.abc import Sequence

from minilm_onnx.encoder import SentenceEncoder
from minilm_onnx.text.tokens import TokenizedTexts, check_texts

# Characters that are tokenised on the event loop's own thread, of one request and of all that came
# in one turn of the loop: a millisecond, and a few.
SHORT, AT_ONCE = 4096, 2**14


def effort(texts: Sequence[str]) -> int:
    """Estimate what tokenising takes, in characters."""
    return sum(map(len, texts)) + 32 * len(texts)


def tokens_at(tokens: TokenizedTexts, places: slice) -> TokenizedTexts:
    """Give the tokens of some texts, which have a row each."""
    ids = tokens.ids[places]
    return TokenizedTexts(ids, [1] * len(ids), tokens.reports[places])


class LoopTokenizer:
    """An encoder's tokenizer, asked by many requests of one event loop."""

    def __init__(self, encoder: SentenceEncoder) -> None:
        """Take the encoder whose tokens are wanted."""
        self._encoder = encoder
        self._waiting: deque[tuple[Sequence[str], asyncio.Future[TokenizedTexts]]] = deque()

    async def tokenize(self, texts: Sequence[str]) -> TokenizedTexts:
        """Turn texts into tokens, without keeping others waiting.

        Raises:
            InputError: a text is none.
        """
        if effort(texts) > SHORT:
            return await asyncio.to_thread(self._tokenize, texts)
        check_texts(texts)  # before they can harm those that they are tokenised with
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._tokenize_together)
        found: asyncio.Future[TokenizedTexts] = loop.create_future()
        self._waiting.append((texts, found))
        return await found

    def _tokenize(self, texts: Sequence[str]) -> TokenizedTexts:
        return self._encoder.tokenize_texts(self._encoder.with_default_prompt(texts))

    def _tokenize_together(self) -> None:
        """Tokenise what came in one turn of the event loop: one call is cheaper than many."""
        given, characters = [], 0
        while self._waiting and characters < AT_ONCE:
            given.append(self._waiting.popleft())
            characters += effort(given[-1][0])
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._tokenize_together)
        try:
            tokens = self._tokenize([text for texts, _ in given for text in texts])
        except BaseException as error:  # tokenizers may panic, which is no Exception
            for _, found in given:
                if not found.done():
                    found.set_exception(error)
            return
        first = 0
        for texts, found in given:
            these = slice(first, first := first + len(texts))
            if not found.done():
                found.set_result(tokens_at(tokens, these))
