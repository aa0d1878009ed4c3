"""Requests that arrive together share runs; none waits for company, and none for a long one.

Texts are taken from the waiting requests up to a budget of tokens, half of it for whoever came
first and half for those that need little (`queue`), and run by the encoder on a thread of its own.
A text's vector does not depend on the texts beside it, so sharing changes nothing but the time.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from minilm_onnx.arrays import FloatArray, Matrix
from minilm_onnx.encoder import SentenceEncoder
from minilm_onnx.server.errors import DeadlineError
from minilm_onnx.server.queue import Job, Queue
from minilm_onnx.server.tokenizing import LoopTokenizer, tokens_at
from minilm_onnx.text.reports import TextReport
from minilm_onnx.text.tokens import TokenizedTexts

Given = TypeVar("Given")


@dataclass(frozen=True)
class Embedded:
    """What became of a request's texts.

    Attributes:
        vectors: (N, H) float32 unit rows.
        reports: what the model saw of each text.
        queue_s: seconds until its first text was taken.
        inference_s: seconds from then to the last vector.
        tokenization_s: seconds for the tokens.
    """

    vectors: FloatArray
    reports: list[TextReport]
    queue_s: float
    inference_s: float
    tokenization_s: float


@dataclass
class Gauges:
    """What can be seen of the runs.

    Attributes:
        batch_texts: called with the texts of each run.
        batch_tokens: called with its tokens.
    """

    batch_texts: Callable[[int], object] = field(default=lambda count: None)
    batch_tokens: Callable[[int], object] = field(default=lambda count: None)


class Batcher:
    """Embeds texts for many at a time; of one event loop."""

    def __init__(
        self,
        encoder: SentenceEncoder,
        *,
        max_requests: int,
        max_tokens: int,
        deadline_s: float,
        gauges: Gauges | None = None,
    ) -> None:
        """Prepare.

        Args:
            encoder: makes the vectors.
            max_requests: see `Settings`, as for the others.
            max_tokens: likewise.
            deadline_s: likewise.
            gauges: told of every run.
        """
        self.encoder = encoder
        self._deadline_s = deadline_s
        self._gauges = gauges or Gauges()
        self._queue = Queue(max_requests=max_requests, max_tokens=max_tokens)
        self._tokenizer = LoopTokenizer(encoder, deadline_s)
        self._large = asyncio.Lock()
        self._thread: ThreadPoolExecutor | None = None
        self._worker: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """Requests that are here."""
        return self._queue.requests

    @property
    def has_room(self) -> bool:
        """Whether a request of one word would be taken."""
        return self._queue.has_room

    @property
    def waiting_tokens(self) -> int:
        """Tokens that no run has taken yet."""
        return self._queue.tokens

    async def tokenize(self, texts: Sequence[str]) -> TokenizedTexts:
        """Turn texts into tokens, without keeping others waiting.

        Raises:
            InputError: a text is none.
            OverloadedError: too many requests are here.
            DeadlineError: no turn came in time.
        """
        self._queue.check_room()
        with self._queue.apart():
            return await self._tokenizer.tokenize(texts)

    async def embed(
        self, texts: Sequence[str], check: Callable[[TokenizedTexts], object] | None = None
    ) -> Embedded:
        """Embed texts; see `embed_tokens` and `tokenize`.

        Args:
            texts: what to embed.
            check: called with their tokens; what it raises is the outcome.
        """
        start = time.monotonic()
        tokens = await self.tokenize(texts)
        if check is not None:
            check(tokens)
        return await self.embed_tokens(tokens, time.monotonic() - start)

    async def embed_tokens(self, tokens: TokenizedTexts, tokenization_s: float) -> Embedded:
        """Embed tokenised texts, together with what else is waiting.

        A call that is cancelled gives up its place; what was not begun is not computed.

        Raises:
            OverloadedError: too much is waiting.
            DeadlineError: no turn came in time.
            SessionError: onnxruntime failed.
        """
        count = sum(map(len, tokens.ids))
        self._queue.check_room(count)
        vectors: Matrix = np.empty((len(tokens.ids), self.encoder.dimension), dtype=np.float32)
        if not tokens.ids:
            return Embedded(vectors, [], 0.0, 0.0, tokenization_s)
        loop = asyncio.get_running_loop()
        job = Job(tokens, vectors, loop.create_future(), time.monotonic(), count)
        self._queue.add(job)
        if self._worker is None or self._worker.done():
            self._worker = loop.create_task(self._work())
        try:
            await job.done
        finally:
            self._queue.forget(job)
        ended = time.monotonic()
        return Embedded(
            job.vectors,
            tokens.reports,
            job.started - job.arrived,
            ended - job.started,
            tokenization_s,
        )

    async def token_vectors(
        self, texts: Sequence[str], check: Callable[[TokenizedTexts], object]
    ) -> tuple[list[FloatArray], list[TextReport]]:
        """Give the last hidden state of every token, (T, H) float32 a text; between other runs.

        With them, what the model sees of each text.

        Args:
            texts: what to embed.
            check: called with their tokens; what it raises is the outcome.

        Raises:
            InputError: a text is none.
            OverloadedError: too much is waiting.
        """
        loop = asyncio.get_running_loop()
        states: list[FloatArray] = []
        async with self._one_at_a_time(texts, check) as tokens:
            # A text at a time: others have their turn between two.
            for place in range(len(texts)):
                one = tokens_at(tokens, slice(place, place + 1))
                states += await loop.run_in_executor(
                    self._executor, self.encoder.hidden_states, one
                )
        return states, tokens.reports

    async def aside(
        self,
        texts: Sequence[str],
        check: Callable[[TokenizedTexts], object],
        work: Callable[[], Given],
    ) -> tuple[Given, list[TextReport]]:
        """Do something about texts on another thread; see `token_vectors`."""
        async with self._one_at_a_time(texts, check) as tokens:
            return await asyncio.to_thread(work), tokens.reports

    @asynccontextmanager
    async def _one_at_a_time(
        self, texts: Sequence[str], check: Callable[[TokenizedTexts], object]
    ) -> AsyncIterator[TokenizedTexts]:
        """Let requests that take much memory come one by one; give the tokens.

        Raises:
            DeadlineError: no turn came in time.
        """
        tokens = await self.tokenize(texts)
        check(tokens)
        with self._queue.apart():
            try:
                async with asyncio.timeout(self._deadline_s):
                    await self._large.acquire()
            except TimeoutError:
                raise DeadlineError(self._deadline_s) from None
            try:
                yield tokens
            finally:
                self._large.release()

    async def close(self) -> None:
        """Finish what was accepted, then end the thread."""
        while self.waiting:
            await asyncio.sleep(0.01)
        if self._worker is not None:
            await asyncio.gather(self._worker, return_exceptions=True)
        self._tokenizer.close()
        if self._thread is not None:
            self._thread.shutdown()
            self._thread = None  # an application may be started again

    @property
    def _executor(self) -> ThreadPoolExecutor:
        """The thread that runs the encoder."""
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="minilm-onnx-server")
        return self._thread

    async def _work(self) -> None:
        """Run until nothing is waiting."""
        queue, loop = self._queue, asyncio.get_running_loop()
        while True:
            queue.drop_late(self._deadline_s)
            picks = queue.pick()
            if not picks:
                return
            ids = [job.tokens.ids[place] for job, place in picks]
            reports = [job.tokens.reports[place] for job, place in picks]
            together = TokenizedTexts(ids, [1] * len(ids), reports)
            count = sum(map(len, ids))
            self._gauges.batch_texts(len(ids))
            self._gauges.batch_tokens(count)
            start = time.monotonic()
            try:
                vectors = await loop.run_in_executor(
                    self._executor, self.encoder.embed_tokens, together
                )
            except BaseException as error:
                for job in {job for job, _ in picks}:
                    queue.fail(job, error)
                if not isinstance(error, Exception):
                    raise
                continue
            queue.learn(count, time.monotonic() - start)
            for (job, place), vector in zip(picks, vectors, strict=True):
                job.vectors[place] = vector
                job.ready += 1
                if job.ready == len(job.tokens.ids) and not job.done.done():
                    job.done.set_result(None)
                    queue.forget(job)
