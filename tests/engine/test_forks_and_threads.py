"""The same bits after an interruption, in a forked process, and from eight threads at once."""

import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from minilm_onnx import SentenceEncoder
from minilm_onnx.engine import native
from minilm_onnx.engine.graph import Interface
from minilm_onnx.verify.golden import bits_of

TEXTS = [
    "a cat",
    "the quick brown fox " * 30,
    "",
    "rain in Spain",
    *(f"row {i} " * i for i in range(40)),
]
# The process forks while another thread is in the middle of a call, whose runs hold their locks:
# one a thread by the native operators, else one of all threads. The child computes, and tells by
# its exit; then the other thread ends its call, and the parent computes.
FORK = """
import os, signal, sys
from threading import Event, Semaphore, Thread
from minilm_onnx import SentenceEncoder
from minilm_onnx.engine.graph import Interface
from minilm_onnx.engine.native import native
threads = int(sys.argv[1])
encoder = SentenceEncoder(threads=threads)
texts = ["the quick brown fox " * 10, "the slow brown fox " * 10 + "rests"] * 9
before = encoder.encode(texts).tobytes()
run, at_work, forked = Interface.run, Semaphore(0), Event()
def held(*arguments):
    at_work.release()
    forked.wait()
    return run(*arguments)
found = []
Interface.run = held
other = Thread(target=lambda: found.append(encoder.encode(texts).tobytes()))
other.start()
for _ in range(threads if native() else 1): at_work.acquire()
Interface.run = run
child = os.fork()
if child == 0:
    signal.alarm(60)
    os._exit(7 if encoder.encode(texts).tobytes() == before else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
forked.set()
other.join()
print(found == [before], encoder.encode(texts).tobytes() == before)
"""


def interrupt_at(patch: pytest.MonkeyPatch, batch: int) -> list[int]:
    """Have the runs from a batch on interrupted, once the operators have run; none if it is 0.

    Returns:
        The batches that were run since, which grows.
    """
    run = Interface.run
    batches: list[int] = []

    def interrupted(*arguments: Any) -> Any:
        found = run(*arguments)
        batches.append(len(batches) + 1)
        if 0 < batch <= batches[-1]:
            raise KeyboardInterrupt
        return found

    patch.setattr(Interface, "run", interrupted)
    return batches


@pytest.mark.parametrize("threads", [1, 2])
def test_an_interrupted_run_leaves_nothing_to_the_next_one(
    monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    """Neither vectors that were not computed, in the cache, nor a thread that works alone."""
    kept_alone: list[int] = []
    run_alone = native._run_alone

    def spy(path: Path) -> Callable[[int], None]:
        def told(yes: int) -> None:
            kept_alone.append(yes)
            run_alone(path)(yes)

        return told

    monkeypatch.setattr(native, "_run_alone", spy)
    encoder = SentenceEncoder(threads=threads)
    with monkeypatch.context() as patch:
        batches = interrupt_at(patch, 0)
        wanted = bits_of(encoder.encode(TEXTS))
    last = len(batches)
    assert last > 20
    for batch in (1, last // 2, last):
        encoder = SentenceEncoder(threads=threads, cache_size=len(TEXTS))
        with monkeypatch.context() as patch:
            interrupt_at(patch, batch)
            with pytest.raises(KeyboardInterrupt):
                encoder.encode(TEXTS)
        assert bits_of(encoder.encode(TEXTS)) == wanted
        assert kept_alone.count(1) == kept_alone.count(0)
    assert kept_alone or threads == 1 or native.native() is None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.parametrize("threads", ["1", "2"])
def test_a_process_forked_in_the_middle_of_a_run_computes_the_same_bits(threads: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORK, threads],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stdout == "7\nTrue True\n"


@pytest.mark.parametrize("encoders", [1, 8])
def test_eight_threads_at_once_get_the_same_bits(encoders: int) -> None:
    every = [SentenceEncoder(threads=2 - place % 2) for place in range(encoders)]
    wanted = bits_of(every[0].encode(TEXTS))
    with ThreadPoolExecutor(8) as pool:
        found = list(
            pool.map(lambda place: bits_of(every[place % encoders].encode(TEXTS)), range(16))
        )
    assert found == [wanted] * 16
