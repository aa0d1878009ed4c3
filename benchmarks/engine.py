"""The parent's end of a worker: start it, ask it, keep it from running while others do."""

import json
import os
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

from benchmarks import ROOT
from benchmarks.environments import worker_command, worker_environment
from benchmarks.machine import busy_seconds, foreign_cores, process_seconds

PATIENCE_SECONDS = 900


class EngineError(Exception):
    """A worker died, hung, or its engine raised."""


class Engine:
    """A worker process, stopped whenever it has nothing to answer.

    Attributes:
        name: its contender.
        ready: what it said once loaded: load_ms, versions, memory.
        foreign_cpu: cores that other processes used while it answered last.
    """

    def __init__(self, name: str, home: Path, threads: int) -> None:
        """Start the process and wait until it is loaded.

        Raises:
            EngineError: it could not be loaded.
        """
        self.name = name
        self.foreign_cpu = 0.0
        self._log = home / name / "worker.log"
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                worker_command(name, home, threads),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=ROOT,
                env=worker_environment(threads),
            )
        self.ready: dict[str, Any] = self._answer()
        self._process.send_signal(signal.SIGSTOP)

    def ask(self, **command: Any) -> dict[str, Any]:
        """Wake the worker for one command.

        Raises:
            EngineError: see the class.
        """
        assert self._process.stdin is not None
        start, others = time.monotonic(), self._foreign_seconds()
        try:
            self._process.send_signal(signal.SIGCONT)
            self._process.stdin.write(json.dumps(command) + "\n")
            self._process.stdin.flush()
        except OSError as error:
            raise self._failure(f"it is gone: {error}") from error
        answer = self._answer()
        used = self._foreign_seconds() - others
        self.foreign_cpu = foreign_cores(used, time.monotonic() - start)
        self._process.send_signal(signal.SIGSTOP)
        return answer

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        timer = threading.Timer(PATIENCE_SECONDS, self._process.kill)
        timer.start()
        line = self._process.stdout.readline()
        timer.cancel()
        if not line:
            raise self._failure(f"it ended with code {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise self._failure(answer["error"])
        return answer

    def _failure(self, reason: str) -> EngineError:
        said = self._log.read_text("utf-8", "replace").strip().splitlines()[-3:]
        self.close()
        return EngineError(" | ".join([f"{self.name}: {reason}", *said]))

    def _foreign_seconds(self) -> float:
        mine = process_seconds(self._process.pid) + process_seconds(os.getpid())
        return busy_seconds() - mine
