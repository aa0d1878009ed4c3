"""The same bits after an interruption, in a forked process, and from eight threads at once."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from minilm_onnx import SentenceEncoder
from minilm_onnx.engine.graph import Interface
from minilm_onnx.verify.golden import bits_of

TEXTS = [
    "a cat",
    "the quick brown fox " * 30,
    "",
    "rain in Spain",
    *(f"row {i} " * i for i in range(40)),
]
# A native session computes, the process forks, both compute again; the child tells by its exit.
FORK = """
import os, sys
from minilm_onnx import SentenceEncoder
encoder = SentenceEncoder(threads=int(sys.argv[1]))
texts = ["a cat", "the quick brown fox " * 30] * 9
before = encoder.encode(texts).tobytes()
child = os.fork()
same = encoder.encode(texts).tobytes() == before
if child == 0: os._exit(7 if same else 1)
print(same, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.parametrize("threads", [1, 2])
def test_a_run_that_is_interrupted_leaves_the_bits_of_the_next_one(
    monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    encoder = SentenceEncoder(threads=threads)
    before = bits_of(encoder.encode(TEXTS))
    run = Interface.run
    calls: list[None] = []

    def interrupted(*arguments: object) -> object:
        found = run(*arguments)  # type: ignore[arg-type]
        calls.append(None)
        if len(calls) >= 3:  # the operators have run, and more batches wait
            raise KeyboardInterrupt
        return found

    with monkeypatch.context() as patch:
        patch.setattr(Interface, "run", interrupted)
        with pytest.raises(KeyboardInterrupt):
            encoder.encode(TEXTS)
    assert bits_of(encoder.encode(TEXTS)) == before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.parametrize("threads", ["1", "2"])
def test_a_forked_process_computes_the_same_bits(threads: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORK, threads],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stdout == "True 7\n"


@pytest.mark.parametrize("encoders", [1, 8])
def test_eight_threads_at_once_get_the_same_bits(encoders: int) -> None:
    every = [SentenceEncoder(threads=1 + place % 2) for place in range(encoders)]
    wanted = bits_of(every[0].encode(TEXTS))
    with ThreadPoolExecutor(8) as pool:
        found = list(
            pool.map(lambda place: bits_of(every[place % encoders].encode(TEXTS)), range(16))
        )
    assert found == [wanted] * 16
