"""Measure contenders side by side: every round, each of them once on each workload.

Workers stay alive between rounds, and only one of them computes at a time. Before time is taken
a contender's vectors are checked, and its batch setting is swept on a sample of each workload.
"""

import json
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from benchmarks import ceiling
from benchmarks.contenders import REFERENCE, Batch, FloatArray, module
from benchmarks.engine import Engine, EngineError, foreign_cores
from benchmarks.environments import ROOT, python
from benchmarks.machine import busy_seconds, hold
from benchmarks.records import Records
from benchmarks.workloads import CHECK_TEXTS, QUERIES, SWEEP_TEXTS, Workload

WARM_UP_REQUESTS = 3
SWEEP_REQUESTS = 3
# A second pass over the sample would tell no more of an engine this slow.
SLOW_SWEEP_SECONDS = 10.0
# Below this an engine does something else: another limit, another order, another model.
LEAST_MEAN_COSINE = 0.9


@dataclass
class Runner:
    """A run.

    Attributes:
        home: where the environments are.
        records: where the results go.
        threads: of every contender.
        workloads: what is measured.
        most_seconds: of a bulk measurement; a slower contender gets a share of the texts.
        lock: file to hold while something computes; None for none.
        scratch: folder for texts and vectors.
        engines: the workers that are alive.
        lost: contenders that failed in this run.
    """

    home: Path
    records: Records
    threads: int
    workloads: Sequence[Workload]
    most_seconds: float
    lock: Path | None
    scratch: Path
    bar: "tqdm[Any]"
    engines: dict[str, Engine] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)

    def quiet(self) -> AbstractContextManager[None]:
        """Keep other jobs from the machine."""
        return hold(self.lock) if self.lock else nullcontext()

    def engine(self, name: str) -> Engine:
        """Give a contender's worker, started if need be."""
        if name not in self.engines:
            self.engines[name] = Engine(name, self.home, self.threads)
        return self.engines[name]

    def file_of(self, texts: Sequence[Any]) -> str:
        """Write texts or requests where a worker can read them."""
        data = json.dumps(texts)
        path = self.scratch / f"{abs(hash(data)):x}.json"
        if not path.exists():
            path.write_text(data, "utf-8")
        return str(path)

    @contextmanager
    def step(self, name: str, what: str) -> Iterator[None]:
        """Show a measurement, and take a contender that fails out of the run."""
        self.bar.set_postfix_str(f"{name} {what}")
        try:
            yield
        except EngineError as error:
            self.lost.add(name)
            self.engines.pop(name, None)
            self.records.add(name, "failed", what, "-", {"reason": str(error)})
            self.bar.write(f"failed: {error}")
        self.bar.update()


def run(runner: Runner, names: Sequence[str], rounds: int) -> None:
    """Take every measurement that is not in the records yet."""
    (corpus,) = (workload for workload in runner.workloads if workload.name == "corpus")
    try:
        for name in names:
            with runner.step(name, "vectors"):
                check_vectors(runner, name, corpus.share(CHECK_TEXTS))
        for workload in runner.workloads:
            for name in (name for name in names if name not in runner.lost):
                with runner.step(name, f"{workload.name} sweep"):
                    sweep(runner, name, workload)
        for number in range(rounds):
            # Whoever comes first in a round comes last in the next.
            order = names if number % 2 == 0 else names[::-1]
            measure_ceiling(runner, number)
            for workload in runner.workloads:
                for name in (name for name in order if name not in runner.lost):
                    with runner.step(name, f"{workload.name}, round {number + 1}"):
                        measure(runner, name, workload, number)
            for name in (name for name in order if name not in runner.lost):
                with runner.step(name, f"cold start, round {number + 1}"):
                    measure_cold(runner, name, number)
        for name in (name for name in names if name not in runner.lost):
            with runner.step(name, "memory"):
                measure_memory(runner, name, corpus)
    finally:
        for engine in runner.engines.values():
            engine.close()


def steps(names: Sequence[str], workloads: Sequence[Workload], rounds: int) -> int:
    """Count the steps of a run, for its progress."""
    return len(names) * (2 + len(workloads) + rounds * (len(workloads) + 1)) + rounds


def check_vectors(runner: Runner, name: str, texts: Workload) -> None:
    """Record how near a contender comes to the reference.

    Raises:
        EngineError: it is so far that its speed would mean nothing.
    """
    if runner.records.find(name, "vectors", "-", texts.digest()):
        return
    expected = reference(runner, texts)
    with runner.quiet():
        engine = runner.engine(name)
        found = vectors_of(runner, engine, texts, module(name).BATCHES[-1])
    cosines = (found * expected).sum(axis=1)
    measured = {
        "cosine_mean": float(cosines.mean()),
        "cosine_min": float(cosines.min()),
        "texts": len(texts.texts),
        **engine.ready,
    }
    if found.shape != expected.shape or not cosines.mean() >= LEAST_MEAN_COSINE:
        raise EngineError(f"{name}: expected the reference's vectors, got {measured}")
    runner.records.add(name, "vectors", "-", texts.digest(), measured)


def vectors_of(runner: Runner, engine: Engine, texts: Workload, batch: Batch) -> FloatArray:
    """Let an engine embed texts and read what it wrote."""
    out = runner.scratch / "vectors.npy"
    engine.ask(do="embed", texts=runner.file_of(texts.texts), batch=batch, out=str(out))
    vectors: FloatArray = np.load(out)
    return vectors


def reference(runner: Runner, texts: Workload) -> FloatArray:
    """Give the fp32 vectors of sentence-transformers, kept beside the environments."""
    path = runner.home / "references" / f"{texts.digest()}.npy"
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        with runner.quiet():
            np.save(path, vectors_of(runner, runner.engine(REFERENCE), texts, 8))
    vectors: FloatArray = np.load(path)
    return vectors


def sweep(runner: Runner, name: str, workload: Workload) -> None:
    """Time every batch setting on a sample."""
    requests = workload.requests[:SWEEP_REQUESTS]
    sample = workload.share(SWEEP_TEXTS)
    digest = workload.digest()
    for batch in module(name).BATCHES:
        if runner.records.find(name, f"{workload.name} sweep", batch, digest):
            continue
        with runner.quiet():
            engine = runner.engine(name)
            seconds: list[float] = []
            while len(seconds) < (1 if seconds and seconds[0] > SLOW_SWEEP_SECONDS else 2):
                seconds.append(timed(runner, engine, sample, requests, batch)["seconds"])
        measured = {
            "batch": batch,
            "seconds": min(seconds),
            "tokens": sum(sample.tokens),
            "foreign_cpu": engine.foreign_cpu,
        }
        runner.records.add(name, f"{workload.name} sweep", batch, digest, measured)


def timed(
    runner: Runner, engine: Engine, bulk: Workload, requests: Sequence[list[str]], batch: Batch
) -> dict[str, Any]:
    """Time bulk texts, or requests where there are some."""
    if not requests:
        return engine.ask(do="bulk", texts=runner.file_of(bulk.texts), batch=batch)
    texts = runner.file_of(requests)
    answer = engine.ask(do="requests", texts=texts, batch=batch, warm_up=WARM_UP_REQUESTS)
    return {"seconds": sum(answer["latencies_ms"]) / 1e3, **answer}


def best_sweep(runner: Runner, name: str, workload: Workload) -> dict[str, Any]:
    """Give the fastest line of a sweep."""
    lines = [
        runner.records.find(name, f"{workload.name} sweep", batch, workload.digest())
        for batch in module(name).BATCHES
    ]
    return min(lines, key=lambda line: float(line["seconds"]))


def measure(runner: Runner, name: str, workload: Workload, number: int) -> None:
    """Take a contender's turn in a round."""
    if runner.records.find(name, workload.name, number, workload.digest()):
        return
    best = best_sweep(runner, name, workload)
    bulk = affordable(workload, best, runner.most_seconds)
    with runner.quiet():
        engine = runner.engine(name)
        answer = timed(runner, engine, bulk, workload.requests, best["batch"])
    measured = {
        "batch": best["batch"],
        "texts": len(bulk.texts),
        "tokens": sum(bulk.tokens),
        **answer,
        "foreign_cpu": engine.foreign_cpu,
        "versions": engine.ready["versions"],
    }
    runner.records.add(name, workload.name, number, workload.digest(), measured)


def affordable(workload: Workload, best: dict[str, Any], most_seconds: float) -> Workload:
    """Give as many of the texts as a contender embeds in the time, evenly spread."""
    if not workload.texts:
        return workload
    expected = sum(workload.tokens) * best["seconds"] / best["tokens"]
    return workload.share(int(len(workload.texts) * min(1.0, most_seconds / expected)))


def measure_cold(runner: Runner, name: str, number: int) -> None:
    """Time a fresh process from its start to its first vector, with files in the page cache."""
    if runner.records.find(name, "cold", number, "-"):
        return
    query = runner.file_of([[QUERIES[0]]])
    batch = module(name).BATCHES[0]
    with runner.quiet():
        for _ in range(2 if number == 0 else 1):
            start = time.perf_counter()
            with Engine(name, runner.home, runner.threads) as engine:
                engine.ask(do="requests", texts=query, batch=batch, warm_up=0)
                cold_ms = (time.perf_counter() - start) * 1e3
    runner.records.add(
        name, "cold", number, "-", {"cold_ms": cold_ms, "versions": engine.ready["versions"]}
    )


def measure_memory(runner: Runner, name: str, corpus: Workload) -> None:
    """Read the memory of a fresh process: loaded, and at its peak with the best setting."""
    if runner.records.find(name, "memory", "-", corpus.digest()):
        return
    best = best_sweep(runner, name, corpus)
    bulk = affordable(corpus, best, runner.most_seconds)
    with runner.quiet(), Engine(name, runner.home, runner.threads) as engine:
        engine.ask(do="bulk", texts=runner.file_of(bulk.texts), batch=best["batch"])
        measured = {
            "batch": best["batch"],
            "texts": len(bulk.texts),
            "loaded_rss_mib": engine.ready["rss_mib"],
            **engine.ask(do="memory"),
        }
    runner.records.add(name, "memory", "-", corpus.digest(), measured)


def measure_ceiling(runner: Runner, number: int) -> None:
    """Measure the machine's int8 ceiling."""
    runner.bar.set_postfix_str(f"ceiling, round {number + 1}")
    if not runner.records.find(ceiling.NAME, ceiling.NAME, number, "-"):
        command = [str(python(runner.home, ceiling.NAME)), "-m", "benchmarks.ceiling"]
        with runner.quiet():
            start, busy, own = time.monotonic(), busy_seconds(), sum(os.times()[:4])
            found = subprocess.run(
                [*command, str(runner.threads)],
                cwd=ROOT,
                check=True,
                text=True,
                stdout=subprocess.PIPE,
            )
            used = busy_seconds() - busy - (sum(os.times()[:4]) - own)
            foreign = foreign_cores(used, time.monotonic() - start)
        measured = {**json.loads(found.stdout), "foreign_cpu": foreign}
        runner.records.add(ceiling.NAME, ceiling.NAME, number, "-", measured)
    runner.bar.update()
