"""uvicorn as `minilm-onnx serve` runs it: it says when it listens, and ends in time."""

import multiprocessing
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Sequence

import uvicorn
from uvicorn.supervisors import Multiprocess

# In which what is begun must be answered once a signal has come, and what is added to that before a
# process that does not end is killed.
GRACE_SECONDS, SPARE_SECONDS = 60, 5


class Server(uvicorn.Server):
    """One process that answers."""

    def __init__(
        self, config: uvicorn.Config, listen: Callable[[], None], answering: Callable[[], None]
    ) -> None:
        """Prepare.

        Args:
            config: of uvicorn.
            listen: called once signals end the process in good order.
            answering: called once requests are answered.
        """
        super().__init__(config)
        self._listen, self._answering = listen, answering

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer, then say so."""
        self._listen()
        await super().startup(sockets=sockets)
        if self.started:
            self._answering()


class Workers(Multiprocess):
    """Several of them, and the process that watches them."""

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

    def keep_subprocess_alive(self) -> None:
        """Replace those that died; say it once when all answer."""
        super().keep_subprocess_alive()
        if self._answering is None or self.should_exit.is_set():
            return
        if all(process.is_ready() for process in self.processes):
            self._answering()
            self._answering = None

    def join_all(self) -> None:
        """Wait until they have ended, but not for ever."""
        end = time.monotonic() + GRACE_SECONDS + SPARE_SECONDS
        for process in self.processes:
            process.process.join(max(0.0, end - time.monotonic()))
            if process.process.is_alive():
                process.process.kill()
                process.process.join()


def end_with_parent() -> None:
    """End this worker as SIGTERM would, once the process that started it is gone."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def wait() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(GRACE_SECONDS + SPARE_SECONDS)
        os._exit(1)

    threading.Thread(target=wait, daemon=True, name="minilm-onnx-parent").start()
