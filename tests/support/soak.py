"""Mixed requests from several threads for as long as you like.

    python -m tests.support.soak --minutes 60

Every vector must have the bits that its text had alone at the start, whoever else asks; memory,
threads and open files must not grow: what is held is looked at between requests, while all callers
rest. With --server a server is asked, over its protocols. Needs Linux, whose /proc says how much a
process holds.
"""

import argparse
import asyncio
import ctypes
import gc
import json
import os
import random
import sys
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minilm_onnx import InputError, SentenceEncoder, semantic_search
from minilm_onnx.arrays import FloatArray
from minilm_onnx.measure.memory import highest_rss_mib
from minilm_onnx.measure.sample import sample_texts
from minilm_onnx.verify.golden import read_golden

TEXTS = 300
MOST_AT_ONCE = 40
# What is held is looked at this often, and compared between the second fifth and the last.
SAMPLES = 50
# Seconds until every kind of request has had the most memory it needs.
WARM_UP = 15.0
MOST_GROWTH = {"rss_mib": 10.0, "threads": 2, "files": 2}
WRONG: tuple[Any, ...] = (None, 3, [None], ["a", b"b"], "\ud800", ["a", "\udfff"])


@dataclass(frozen=True)
class Held:
    """What the process holds at one moment."""

    rss_mib: float
    threads: int
    files: int


def held(pid: int) -> Held:
    """Ask /proc."""
    of = Path(f"/proc/{pid}")
    pages = int((of / "statm").read_text().split()[1])
    return Held(
        pages * os.sysconf("SC_PAGE_SIZE") / 2**20,
        len(list((of / "task").iterdir())),
        len(list((of / "fd").iterdir())),
    )


class Soak:
    """Requests against one encoder, what they should give, and what went wrong."""

    def __init__(self) -> None:
        self.encoder = SentenceEncoder()
        self.remembering = SentenceEncoder(cache_size=TEXTS // 2)
        self.texts = [
            *sample_texts(TEXTS),
            *read_golden(self.encoder.folder, self.encoder.dimension).texts,
        ]
        self.expected = np.stack([self.encoder.encode(text) for text in self.texts])
        self.counts = [report.tokens for report in self.encoder.inspect(self.texts)]
        self.hits = semantic_search(self.expected[:20], self.expected, top_k=5)
        self.end = threading.Event()
        self.turn = threading.Condition()
        self.busy = 0
        self.resting = False
        self.done: Counter[str] = Counter()
        self.vectors = 0
        self.wrong: list[str] = []
        self.pid = os.getpid()

    def kinds(self) -> list[Callable[[random.Random], int]]:
        """What is asked, the more often the oftener it is named."""
        return [
            *[self.one] * 8,
            *[self.several] * 3,
            *(self.query, self.cached, self.stream, self.asynchronous, self.fresh),
            *(self.search, self.inspect, self.refused),
        ]

    def one(self, draw: random.Random) -> int:
        place = draw.randrange(len(self.texts))
        return self.same([place], self.encoder.encode(self.texts[place])[None])

    def several(self, draw: random.Random) -> int:
        places = self.choose(draw)
        batch_size = draw.choice([None, 1, 7, 32])
        return self.same(places, self.encoder.encode(self.at(places), batch_size=batch_size))

    def query(self, draw: random.Random) -> int:
        places = self.choose(draw)
        return self.same(places, self.encoder.encode_query(self.at(places)))

    def cached(self, draw: random.Random) -> int:
        places = self.choose(draw)
        return self.same(places, self.remembering.encode(self.at(places)))

    def stream(self, draw: random.Random) -> int:
        places = self.choose(draw)
        return self.same(places, np.stack(list(self.encoder.encode_stream(iter(self.at(places))))))

    def asynchronous(self, draw: random.Random) -> int:
        places = self.choose(draw)
        return self.same(places, asyncio.run(self.encoder.aencode(self.at(places))))

    def fresh(self, draw: random.Random) -> int:
        places = self.choose(draw)[:3]
        with SentenceEncoder(threads=draw.choice([1, 2])) as encoder:
            return self.same(places, encoder.encode(self.at(places)))

    def search(self, draw: random.Random) -> int:
        if semantic_search(self.expected[:20], self.expected, top_k=5) != self.hits:
            self.wrong.append("semantic_search gave other hits")
        return 0

    def inspect(self, draw: random.Random) -> int:
        places = self.choose(draw)
        found = [report.tokens for report in self.encoder.inspect(self.at(places))]
        if found != [self.counts[place] for place in places]:
            self.wrong.append(f"inspect gave other token counts for {places}")
        return 0

    def refused(self, draw: random.Random) -> int:
        wrong = draw.choice(WRONG)
        try:
            self.encoder.encode(wrong)
        except InputError:
            return 0
        self.wrong.append(f"encode({wrong!r}) was taken")
        return 0

    def choose(self, draw: random.Random) -> list[int]:
        return [draw.randrange(len(self.texts)) for _ in range(draw.randint(1, MOST_AT_ONCE))]

    def at(self, places: Sequence[int]) -> list[str]:
        return [self.texts[place] for place in places]

    def same(self, places: Sequence[int], found: FloatArray) -> int:
        """Compare bits; give how many vectors these were."""
        if not np.array_equal(found, self.expected[places]):
            self.wrong.append(f"other bits among the texts {places}")
        return len(places)

    def work(self, number: int) -> None:
        """Make one request after the other, of a kind that chance chooses."""
        draw = random.Random(number)
        kinds = self.kinds()
        while not self.end.is_set():
            kind = draw.choice(kinds)
            with self.turn:
                self.turn.wait_for(lambda: not self.resting)
                self.busy += 1
            try:
                vectors = kind(draw)
            except Exception as error:  # whatever it is, the report must say it
                self.wrong.append(f"{kind.__name__}: {type(error).__name__}: {error}")
                vectors = 0
            with self.turn:
                self.busy -= 1
                self.done[kind.__name__] += 1
                self.vectors += vectors
                self.turn.notify_all()

    def at_rest(self) -> Held:
        """Look at what is held while nobody asks, and encoders of one request are gone."""
        with self.turn:
            self.resting = True
            self.turn.wait_for(lambda: not self.busy)
            if self.pid == os.getpid():
                give_back()
            found = held(self.pid)
            self.resting = False
            self.turn.notify_all()
        return found

    def run(self, seconds: float, callers: int) -> list[Held]:
        """Let callers ask for so long; give what was held at even distances."""
        threads = [threading.Thread(target=self.work, args=[number]) for number in range(callers)]
        samples = []
        self.end.clear()
        start = time.monotonic()
        for thread in threads:
            thread.start()
        try:
            for number in range(SAMPLES):
                rest = start + seconds * (number + 1) / SAMPLES - time.monotonic()
                self.end.wait(max(0.0, rest))
                samples.append(self.at_rest())
        finally:
            self.end.set()
            for thread in threads:
                thread.join()
        return samples


def give_back() -> None:
    """Give the system the memory that is free, so that what is held can be told from it."""
    gc.collect()
    if hasattr(libc := ctypes.CDLL(None), "malloc_trim"):  # glibc
        libc.malloc_trim(0)


def growth(samples: Sequence[Held]) -> dict[str, float]:
    """Give by how much the lowest of the last fifth exceeds the lowest of the second.

    What is kept raises every sample; what chance brings, a larger request's memory that is not
    yet given back, only some.
    """
    fifth = len(samples) // 5
    early, late = samples[fifth : 2 * fifth], samples[-fifth:]
    return {
        name: round(min(getattr(s, name) for s in late) - min(getattr(s, name) for s in early), 1)
        for name in MOST_GROWTH
    }


def main(arguments: Sequence[str]) -> int:
    """Soak, and print what came of it as JSON; 1 if anything is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--callers", type=int, default=4, help="threads that ask at once")
    parser.add_argument("--server", action="store_true", help="ask a server, which is started")
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore")  # some golden texts are there because they are unreadable
    with ExitStack() as stack:
        if options.server:
            from tests.support.soak_server import soaking

            soak: Soak = stack.enter_context(soaking())
        else:
            soak = Soak()
        soak.run(WARM_UP, options.callers)
        samples = soak.run(options.minutes * 60, options.callers)
        peak = highest_rss_mib(Path(f"/proc/{soak.pid}/status"))
        assert peak is not None, f"/proc/{soak.pid}/status: expected a line VmHWM, got none"
    grown = growth(samples)
    ok = not soak.wrong and all(grown[name] <= most for name, most in MOST_GROWTH.items())
    print(
        json.dumps(
            {
                "ok": ok,
                "minutes": options.minutes,
                "callers": options.callers,
                "requests": soak.done.total(),
                "by_kind": dict(sorted(soak.done.items())),
                "vectors": soak.vectors,
                "wrong": len(soak.wrong),
                "first_wrong": soak.wrong[:5],
                "rss_mib": [round(s.rss_mib, 1) for s in samples[:: SAMPLES // 10]],
                "peak_rss_mib": round(peak, 1),
                "grown": grown,
            },
            indent=2,
        )
    )
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
