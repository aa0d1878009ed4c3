"""Requests that arrive together share runs; none waits for company, and none for a long one.

Texts are taken from the waiting requests up to a budget of tokens, half of it for whoever came
first and half for those that need little, and run by the encoder on a thread of its own. A text's
vector does not depend on the texts beside it, so sharing changes nothing but the time.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from minilm_onnx.arrays import FloatArray, Matrix
from minilm_onnx.encoder import SentenceEncoder
from minilm_onnx.errors import MiniLMError
from minilm_onnx.text.reports import TextReport
from minilm_onnx.text.tokens import TokenizedTexts, check_texts

Given = TypeVar("Given")

# Tokens run together: some tenths of a second on two cores, after which others have their turn.
BUDGET = 2048
# Characters that are tokenised on the event loop's own thread, of one request and of all that came
# in one turn of the loop: a millisecond, and a few.
SHORT, AT_ONCE = 4096, 2**14


class OverloadedError(MiniLMError):
    """Too much is waiting.

    Attributes:
        retry_after: seconds after which there may be room.
    """

    def __init__(self, retry_after: int) -> None:
        """Say when to come back."""
        super().__init__(
            f"server: expected room in the queue, got none; try again in {retry_after} s"
        )
        self.retry_after = retry_after


class DeadlineError(MiniLMError):
    """A request waited longer than it may."""

    def __init__(self, seconds: float) -> None:
        """Say how long that was."""
        super().__init__(
            f"server: expected to begin within {seconds:g} s, got no turn; try again later"
        )


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

    vectors: Matrix
    reports: list[TextReport]
    queue_s: float
    inference_s: float
    tokenization_s: float


@dataclass(eq=False)
class Job:
    """A request's texts, on their way.

    Attributes:
        tokens: of its texts, one row each.
        vectors: (N, H) float32, to be filled.
        done: set when they are.
        arrived: when it came.
        left: tokens that no run has taken.
        taken: texts that were given to a run.
        ready: texts whose vectors are there.
        started: when its first text was taken.
    """

    tokens: TokenizedTexts
    vectors: Matrix
    done: "asyncio.Future[None]"
    arrived: float
    left: int
    taken: int = 0
    ready: int = 0
    started: float = 0.0


@dataclass
class Gauges:
    """What can be seen of the queue.

    Attributes:
        batch_texts: called with the texts of each run.
        batch_tokens: called with its tokens.
    """

    batch_texts: Callable[[int], object] = field(default=lambda count: None)
    batch_tokens: Callable[[int], object] = field(default=lambda count: None)


def effort(texts: Sequence[str]) -> int:
    """Estimate what tokenising takes, in characters."""
    return sum(map(len, texts)) + 32 * len(texts)


def tokens_at(tokens: TokenizedTexts, places: slice) -> TokenizedTexts:
    """Give the tokens of some texts, which have a row each."""
    ids = tokens.ids[places]
    return TokenizedTexts(ids, [1] * len(ids), tokens.reports[places])


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
        self._max_requests, self._max_tokens = max_requests, max_tokens
        self._deadline_s = deadline_s
        self._gauges = gauges or Gauges()
        self._jobs: dict[int, Job] = {}  # in the order they came
        self._untokenized: deque[tuple[Sequence[str], asyncio.Future[TokenizedTexts]]] = deque()
        self._waiting_tokens = 0
        self._large = asyncio.Lock()
        self._apart = 0  # requests that are here but have no job
        self._seconds_per_token = 1e-4  # corrected by every run
        self._thread: ThreadPoolExecutor | None = None
        self._worker: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """Requests that are here."""
        return len(self._jobs) + self._apart

    @property
    def waiting_tokens(self) -> int:
        """Tokens that no run has taken yet."""
        return self._waiting_tokens

    async def tokenize(self, texts: Sequence[str]) -> TokenizedTexts:
        """Turn texts into tokens, without keeping others waiting.

        Raises:
            InputError: a text is none.
            OverloadedError: too many requests are here.
        """
        if self.waiting >= self._max_requests:
            raise OverloadedError(self._retry_after())
        self._apart += 1
        try:
            if effort(texts) > SHORT:
                return await asyncio.to_thread(self._tokenize, texts)
            check_texts(texts)  # before they can harm those that they are tokenised with
            loop = asyncio.get_running_loop()
            if not self._untokenized:
                loop.call_soon(self._tokenize_together)
            found: asyncio.Future[TokenizedTexts] = loop.create_future()
            self._untokenized.append((texts, found))
            return await found
        finally:
            self._apart -= 1

    def _tokenize(self, texts: Sequence[str]) -> TokenizedTexts:
        return self.encoder.tokenize_texts(self.encoder.with_default_prompt(texts))

    def _tokenize_together(self) -> None:
        """Tokenise what came in one turn of the event loop: one call is cheaper than many."""
        given, characters = [], 0
        while self._untokenized and characters < AT_ONCE:
            given.append(self._untokenized.popleft())
            characters += effort(given[-1][0])
        if self._untokenized:
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
        if self.waiting >= self._max_requests or (
            self._jobs and self._waiting_tokens + count > self._max_tokens
        ):
            raise OverloadedError(self._retry_after())
        if not tokens.ids:
            nothing: Matrix = np.empty((0, self.encoder.dimension), dtype=np.float32)
            return Embedded(nothing, [], 0.0, 0.0, tokenization_s)
        loop = asyncio.get_running_loop()
        shape = (len(tokens.ids), self.encoder.dimension)
        vectors: Matrix = np.empty(shape, dtype=np.float32)
        job = Job(tokens, vectors, loop.create_future(), time.monotonic(), count)
        self._jobs[id(job)] = job
        self._waiting_tokens += count
        if self._worker is None or self._worker.done():
            self._worker = loop.create_task(self._work())
        try:
            await job.done
        finally:
            self._forget(job)
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
    ) -> list[FloatArray]:
        """Give the last hidden state of every token, (T, H) float32 a text; between other runs.

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
        return states

    async def aside(
        self,
        texts: Sequence[str],
        check: Callable[[TokenizedTexts], object],
        work: Callable[[], Given],
    ) -> Given:
        """Do something about texts on another thread; see `token_vectors`."""
        async with self._one_at_a_time(texts, check):
            return await asyncio.to_thread(work)

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
        self._apart += 1
        try:
            try:
                async with asyncio.timeout(self._deadline_s):
                    await self._large.acquire()
            except TimeoutError:
                raise DeadlineError(self._deadline_s) from None
            try:
                yield tokens
            finally:
                self._large.release()
        finally:
            self._apart -= 1

    async def close(self) -> None:
        """Finish what was accepted, then end the thread."""
        while self.waiting:
            await asyncio.sleep(0.01)
        if self._worker is not None:
            await asyncio.gather(self._worker, return_exceptions=True)
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
        loop = asyncio.get_running_loop()
        while self._jobs:
            self._drop_late()
            picks = self._pick()
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
                    if not job.done.done():
                        job.done.set_exception(error)
                    self._forget(job)
                if not isinstance(error, Exception):
                    raise
                continue
            spent = (time.monotonic() - start) / max(1, count)
            self._seconds_per_token += 0.2 * (spent - self._seconds_per_token)
            for (job, place), vector in zip(picks, vectors, strict=True):
                job.vectors[place] = vector
                job.ready += 1
                if job.ready == len(job.tokens.ids) and not job.done.done():
                    job.done.set_result(None)
                    self._forget(job)

    def _pick(self) -> list[tuple[Job, int]]:
        """Take texts for a run.

        Half of it is for who came first, the rest for who needs no more than a run, and what is
        left then for the others; in the order they came.
        """
        picks: list[tuple[Job, int]] = []
        waiting = [job for job in self._jobs.values() if job.left]
        budget = BUDGET
        if len(waiting) > 1:
            budget -= self._take(waiting[0], BUDGET // 2, picks)
        for job in sorted(waiting, key=lambda job: job.left > BUDGET):
            if budget <= 0:
                break
            budget -= self._take(job, budget, picks)
        return picks

    def _take(self, job: Job, budget: int, picks: list[tuple[Job, int]]) -> int:
        """Take texts of a request until a budget is spent; give how many tokens these are."""
        job.started = job.started or time.monotonic()
        spent = 0
        while spent < budget and job.taken < len(job.tokens.ids):
            spent += len(job.tokens.ids[job.taken])
            picks.append((job, job.taken))
            job.taken += 1
        job.left -= spent
        self._waiting_tokens -= spent
        return spent

    def _drop_late(self) -> None:
        now = time.monotonic()
        for job in list(self._jobs.values()):
            if not job.started and now - job.arrived > self._deadline_s:
                if not job.done.done():
                    job.done.set_exception(DeadlineError(self._deadline_s))
                self._forget(job)

    def _forget(self, job: Job) -> None:
        if self._jobs.pop(id(job), None) is not None:
            self._waiting_tokens -= job.left
            job.left = 0

    def _retry_after(self) -> int:
        return max(1, round(self._waiting_tokens * self._seconds_per_token))
