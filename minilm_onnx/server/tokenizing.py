"""Texts to tokens on a busy event loop: short ones together, long ones in turns on a thread."""

import asyncio
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from minilm_onnx.encoder import SentenceEncoder
from minilm_onnx.server.errors import DeadlineError
from minilm_onnx.text.pieces import SLICE, SLICE_CHARACTERS, chunks
from minilm_onnx.text.tokens import UNKNOWN, TokenizedTexts, check_texts, tokenize_in_turns

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


@dataclass(eq=False)
class Reading:
    """Long texts of a request, on their way.

    Attributes:
        steps: reads more of them.
        done: set when all are read.
        arrived: when they came.
        begun: whether they had a turn.
        found: what was read.
    """

    steps: Iterator[TokenizedTexts]
    done: "asyncio.Future[TokenizedTexts]"
    arrived: float
    begun: bool = False
    found: list[TokenizedTexts] = field(default_factory=list)


def joined(parts: Sequence[TokenizedTexts]) -> TokenizedTexts:
    """Give the tokens of texts, which have a row each, that were read one after another."""
    ids = [row for part in parts for row in part.ids]
    reports = [report for part in parts for report in part.reports]
    return TokenizedTexts(ids, [1] * len(ids), reports)


class LoopTokenizer:
    """An encoder's tokenizer, asked by many requests of one event loop."""

    def __init__(self, encoder: SentenceEncoder, deadline_s: float) -> None:
        """Prepare.

        Args:
            encoder: whose tokens are wanted.
            deadline_s: seconds after which long texts without a turn are given up.
        """
        self._encoder, self._deadline_s = encoder, deadline_s
        self._waiting: deque[tuple[Sequence[str], asyncio.Future[TokenizedTexts]]] = deque()
        self._long: deque[Reading] = deque()
        self._reader: asyncio.Task[None] | None = None
        self._thread: ThreadPoolExecutor | None = None

    async def tokenize(self, texts: Sequence[str]) -> TokenizedTexts:
        """Turn texts into tokens, without keeping others waiting.

        Raises:
            InputError: a text is none.
            DeadlineError: no turn came in time.
        """
        if effort(texts) > SHORT:
            return await self._tokenize_in_turns(texts)
        check_texts(texts)  # before they can harm those that they are tokenised with
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._tokenize_together)
        found: asyncio.Future[TokenizedTexts] = loop.create_future()
        self._waiting.append((texts, found))
        return await found

    def close(self) -> None:
        """End the thread, once nobody waits."""
        if self._thread is not None:
            self._thread.shutdown()
            self._thread = None

    async def _tokenize_in_turns(self, texts: Sequence[str]) -> TokenizedTexts:
        """Let long texts wait for their turns."""
        loop = asyncio.get_running_loop()
        reading = Reading(self._steps(texts), loop.create_future(), time.monotonic())
        self._long.append(reading)
        if self._reader is None or self._reader.done():
            self._reader = loop.create_task(self._read())
        return await reading.done  # cancelled with whoever waits, which ends its turns

    def _steps(self, texts: Sequence[str]) -> Iterator[TokenizedTexts]:
        """Read some texts at a time, or some of a long one."""
        check_texts(texts)
        first = 0
        for some in chunks(texts, SLICE, SLICE_CHARACTERS):
            if max(map(len, some)) > SLICE_CHARACTERS:
                yield from self._in_turns(some, first)
            else:
                yield self._tokenize(some)
            first += len(some)

    def _in_turns(self, texts: Sequence[str], first: int) -> Iterator[TokenizedTexts]:
        encoder = self._encoder
        unknown = encoder.manifest.unknown_token if encoder.manifest else UNKNOWN
        prompted, limit = encoder.with_default_prompt(texts), encoder.max_seq_length
        return tokenize_in_turns(encoder.tokenizer, prompted, limit, unknown, first)

    async def _read(self) -> None:
        """Read a little of each request in turn, until nothing is waiting."""
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="minilm-onnx-tokens")
        loop = asyncio.get_running_loop()
        while self._long:
            self._drop_late()
            reading = self._long.popleft()
            if reading.done.done():
                continue
            reading.begun = True
            try:
                found = await loop.run_in_executor(self._thread, next, reading.steps, None)
            except BaseException as error:  # tokenizers may panic, which is no Exception
                if not reading.done.done():
                    reading.done.set_exception(error)
                if isinstance(error, asyncio.CancelledError):
                    raise
                continue
            if found is not None:
                reading.found.append(found)
                self._long.append(reading)
            elif not reading.done.done():
                reading.done.set_result(joined(reading.found))

    def _drop_late(self) -> None:
        now = time.monotonic()
        for reading in self._long:
            late = not reading.begun and now - reading.arrived > self._deadline_s
            if late and not reading.done.done():
                reading.done.set_exception(DeadlineError(self._deadline_s))

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
