"""Calls that an event loop waits for: on a thread of their own, cancelled between batches."""

import os
import threading
from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, TypeVar

from minilm_onnx.errors import MiniLMError

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

Given = TypeVar("Given")

# Set while a call computes, so that its batches learn when it is cancelled.
CANCELLED: ContextVar[threading.Event | None] = ContextVar("cancelled", default=None)


class CancelledCallError(MiniLMError):
    """A call was cancelled; nobody waits for it any more."""


class OwnThread:
    """A thread that computes one call at a time, made when the first one comes."""

    def __init__(self) -> None:
        # With the process it was made in: a fork has no thread.
        self._executor: tuple[int, ThreadPoolExecutor] | None = None

    async def run(self, call: Callable[[], Given]) -> Given:
        """Give what a call gives; one that is cancelled stops after the batch it is at."""
        # Not needed for a first vector, and 40 ms to load.
        import asyncio
        from concurrent.futures import ThreadPoolExecutor

        executor = self._executor
        if executor is None or executor[0] != os.getpid():
            executor = os.getpid(), ThreadPoolExecutor(1, thread_name_prefix="minilm-onnx")
            self._executor = executor
        cancelled = threading.Event()

        def work() -> Given:
            token = CANCELLED.set(cancelled)
            try:
                return call()
            finally:
                CANCELLED.reset(token)

        future = asyncio.get_running_loop().run_in_executor(executor[1], work)
        try:
            return await future
        except asyncio.CancelledError:
            cancelled.set()
            raise

    def close(self) -> None:
        """End the thread, and drop the calls that wait for it."""
        executor, self._executor = self._executor, None
        if executor is not None and executor[0] == os.getpid():
            executor[1].shutdown(cancel_futures=True)
