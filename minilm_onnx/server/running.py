"""uvicorn as `minilm-onnx serve` runs it: it says when it listens, and ends in time.

A second SIGINT ends it at once: uvicorn would show the errors of what it gives up, and its workers
would not hear of it.
"""

import asyncio
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import wait
from types import FrameType

import uvicorn
from uvicorn.supervisors import Multiprocess

# In which what is begun must be answered once a signal has come, and what is added to that before a
# process that does not end is killed.
GRACE_SECONDS, SPARE_SECONDS = 60, 5
# An idle connection is kept for longer than clients keep it: by uvicorn's default, 5 s, which is
# httpx's too, a client may ask again just as it is closed.
KEEP_SECONDS = 75
# After which a process that has not ended is taken to have requests in hand.
IDLE_SECONDS = 1.0
# The exit code after a second SIGINT, as a shell gives it.
INTERRUPTED = 128 + signal.SIGINT


class Server(uvicorn.Server):
    """One process that answers."""

    def __init__(
        self,
        config: uvicorn.Config,
        listen: Callable[[], None],
        answering: Callable[[], None],
        leave: Callable[[], None],
        ending: Callable[[], None] = lambda: None,
    ) -> None:
        """Prepare.

        Args:
            config: of uvicorn.
            listen: called once signals end the process in good order.
            answering: called once requests are answered.
            leave: called before a second SIGINT ends the process at once.
            ending: called once a signal has come, before what is in hand is waited for.
        """
        super().__init__(config)
        self._listen, self._answering, self._leave = listen, answering, leave
        self._ending = ending

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer, then say so."""
        self._listen()
        await super().startup(sockets=sockets)
        if self.started:
            self._answering()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer what is in hand, and say that this may take time."""
        limit = self.config.timeout_graceful_shutdown or GRACE_SECONDS
        if tasks := set(self.server_state.tasks):
            # Streams that wait for news see the signal in a moment, and are no requests in hand.
            await asyncio.wait(tasks, timeout=min(IDLE_SECONDS, limit / 2))
        busy = len(self.server_state.tasks)
        self._ending()
        if busy:
            _say_ending(f"{busy} request{'s' if busy > 1 else ''}", limit)
        await super().shutdown(sockets=sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End once what is in hand is answered; at once at a second SIGINT."""
        if self.should_exit and sig == signal.SIGINT:
            try:
                self._leave()
            finally:
                os._exit(INTERRUPTED)  # threads that compute would be waited for
        super().handle_exit(sig, frame)


class Workers(Multiprocess):
    """Several of them, and the process that watches them.

    Attributes:
        at_once: whether a second SIGINT came.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        sockets: Sequence[socket.socket],
        listen: Callable[[], None],
        answering: Callable[[], None],
    ) -> None:
        """Prepare; see `Server`."""
        super().__init__(config, list(sockets))
        listen()
        self._answering: Callable[[], None] | None = answering
        self.at_once = False

    def init_processes(self) -> None:
        """Start the workers, which Ctrl-C on a terminal does not reach."""
        with _sigint_held():
            super().init_processes()

    def keep_subprocess_alive(self) -> None:
        """Replace those that died; say it once when all answer."""
        with _sigint_held():
            super().keep_subprocess_alive()
        if self._answering is None or self.should_exit.is_set():
            return
        if all(process.is_ready() for process in self.processes):
            self._answering()
            self._answering = None

    def join_all(self) -> None:
        """Wait until they have ended, but not for ever, nor beyond a second SIGINT."""
        start, said = time.monotonic(), False
        while running := [one.process for one in self.processes if one.process.is_alive()]:
            self.handle_signals()
            waited = time.monotonic() - start
            if self.at_once or waited > GRACE_SECONDS + SPARE_SECONDS:
                for process in running:
                    process.kill()
            elif waited > IDLE_SECONDS and not said:
                _say_ending("requests", GRACE_SECONDS)
                said = True
            wait([process.sentinel for process in running], timeout=0.1)

    def handle_int(self) -> None:
        """End; at once at the second."""
        self.at_once = self.should_exit.is_set()
        super().handle_int()


def _say_ending(what: str, limit: float) -> None:
    with suppress(OSError):  # nobody may read it
        sys.stderr.write(f"ending: {what} in hand, {limit} s at most; Ctrl-C again ends at once\n")
        sys.stderr.flush()


@contextmanager
def _sigint_held() -> Iterator[None]:
    """Hold SIGINT back from this thread for a while, and for ever from processes begun meanwhile.

    A terminal sends it to all processes; the one that watches the others ends them in order.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    resource_tracker.ensure_running()  # the first worker would start it, which unblocks SIGINT
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def end_with_parent() -> None:
    """End this worker as SIGTERM would, once the process that started it is gone."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(GRACE_SECONDS + SPARE_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="minilm-onnx-parent").start()
