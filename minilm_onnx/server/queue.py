"""The queue: which requests wait, whose texts the next run takes, and how much may wait."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from minilm_onnx.arrays import Matrix
from minilm_onnx.server.errors import DeadlineError, OverloadedError
from minilm_onnx.text.tokens import TokenizedTexts

# Tokens run together: some tenths of a second on two cores, after which others have their turn.
BUDGET = 2048
# Tokens of the smallest request: a word between [CLS] and [SEP].
ONE_WORD = 3


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


class Queue:
    """The requests of one event loop: jobs, of which runs take texts, and others beside them."""

    def __init__(self, *, max_requests: int, max_tokens: int) -> None:
        """Start with nobody.

        Args:
            max_requests: see `Settings`.
            max_tokens: likewise.
        """
        self._max_requests, self._max_tokens = max_requests, max_tokens
        self._jobs: dict[int, Job] = {}  # in the order they came
        self._tokens = 0
        self._apart = 0
        self._seconds_per_token = 1e-4  # corrected by every run

    @property
    def requests(self) -> int:
        """Requests that are here."""
        return len(self._jobs) + self._apart

    @property
    def tokens(self) -> int:
        """Tokens that no run has taken yet."""
        return self._tokens

    @property
    def has_room(self) -> bool:
        """Whether a request of one word would be taken."""
        return not self._is_full(ONE_WORD)

    def check_room(self, tokens: int | None = None) -> None:
        """Raise OverloadedError where a request is one too many; a lone one may be of any size.

        Args:
            tokens: of the request; None before they are counted.
        """
        if self._is_full(tokens):
            raise OverloadedError(max(1, round(self._tokens * self._seconds_per_token)))

    def _is_full(self, tokens: int | None) -> bool:
        crowded = tokens is not None and self._jobs and self._tokens + tokens > self._max_tokens
        return bool(crowded) or self.requests >= self._max_requests

    @contextmanager
    def apart(self) -> Iterator[None]:
        """Count a request that is here but has no job."""
        self._apart += 1
        try:
            yield
        finally:
            self._apart -= 1

    def add(self, job: Job) -> None:
        """Let a request wait for its turn."""
        self._jobs[id(job)] = job
        self._tokens += job.left

    def forget(self, job: Job) -> None:
        """Remove a request that no longer waits, if it is still queued."""
        if self._jobs.pop(id(job), None) is not None:
            self._tokens -= job.left
            job.left = 0

    def fail(self, job: Job, error: BaseException) -> None:
        """Tell a request why there are no vectors, unless it has its answer."""
        if not job.done.done():
            job.done.set_exception(error)
        self.forget(job)

    def drop_late(self, seconds: float) -> None:
        """Give up the requests that have waited longer for their first turn."""
        now = time.monotonic()
        for job in list(self._jobs.values()):
            if not job.started and now - job.arrived > seconds:
                self.fail(job, DeadlineError(seconds))

    def pick(self) -> list[tuple[Job, int]]:
        """Take texts for a run: pairs of a job and a place in it.

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
        self._tokens -= spent
        return spent

    def learn(self, tokens: int, seconds: float) -> None:
        """Update the estimate of the speed after a batch."""
        spent = seconds / max(1, tokens)
        self._seconds_per_token += 0.2 * (spent - self._seconds_per_token)
