"""One function a kind of measurement; each writes a line unless the records have it."""

import json
import subprocess
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from benchmarks import ROOT, ceiling
from benchmarks.bench import Bench
from benchmarks.contenders import OURS, REFERENCE, Batch, FloatArray, module
from benchmarks.engine import Engine, EngineError
from benchmarks.environments import Note, python
from benchmarks.machine import MOST_FOREIGN_CPU, watch
from benchmarks.workloads import QUERIES, QUICK_SWEEP_TOKENS, SWEEP_TOKENS, Workload, spread

WARM_UP = 5
# Of requests of several texts one is enough.
WARM_UP_MANY = 1
# Of a measurement beside which others worked.
TRIES = 3
SWEEP_REQUESTS = 3
LEAST_REQUESTS = 4
# The corpus decides the order of the table, so it may take longest.
SHARE_OF_OTHERS = 0.3
# A second pass over the sample would tell no more of an engine this slow.
SLOW_SWEEP_SECONDS = 1.0
# Below this an engine does something else: another limit, another order, another model.
LEAST_MEAN_COSINE = 0.9


def record_setup(bench: Bench, note: Note) -> None:
    """Record how setting a contender up went, and how much it installed."""
    if not bench.records.find(note.contender, "setup", "-", "-"):
        bench.records.add(note.contender, "setup", "-", "-", asdict(note))


def check_vectors(bench: Bench, name: str, texts: Workload) -> None:
    """Record how near a contender comes to the reference.

    Raises:
        EngineError: it is so far that its speed would mean nothing.
    """
    if bench.records.find(name, "vectors", "-", texts.digest()):
        return
    with bench.quiet():
        engine = bench.engine(name)
        found = vectors_of(bench, engine, texts, module(name).BATCHES[-1])
    if not getattr(module(name), "SAME_MODEL", True):
        measured = {"texts": len(texts.texts), "same_model": False, **engine.ready}
        bench.records.add(name, "vectors", "-", texts.digest(), measured)
        return
    expected = reference(bench, texts)
    cosines = (found * expected).sum(axis=1)
    measured = {
        "cosine_mean": float(cosines.mean()),
        "cosine_min": float(cosines.min()),
        "texts": len(texts.texts),
        **engine.ready,
    }
    if found.shape != expected.shape or not cosines.mean() >= LEAST_MEAN_COSINE:
        raise EngineError(f"{name}: expected the reference's vectors, got {measured}")
    bench.records.add(name, "vectors", "-", texts.digest(), measured)


def vectors_of(bench: Bench, engine: Engine, texts: Workload, batch: Batch) -> FloatArray:
    """Let an engine embed texts and read what it wrote."""
    out = bench.scratch / "vectors.f32"
    engine.ask(do="embed", texts=bench.file_of(texts.texts), batch=batch, out=str(out))
    vectors: FloatArray = np.fromfile(out, dtype=np.float32).reshape(len(texts.texts), -1)
    return vectors


def reference(bench: Bench, texts: Workload) -> FloatArray:
    """Give the fp32 vectors of sentence-transformers, kept beside the environments."""
    path = bench.home / "references" / f"{texts.digest()}.npy"
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        with bench.quiet():
            np.save(path, vectors_of(bench, bench.engine(REFERENCE), texts, 8))
    vectors: FloatArray = np.load(path)
    return vectors


def sweep(bench: Bench, name: str, workload: Workload) -> None:
    """Time every batch setting on a sample."""
    requests = workload.requests[:SWEEP_REQUESTS]
    sample = workload.sample(QUICK_SWEEP_TOKENS if bench.quick else SWEEP_TOKENS)
    digest = workload.digest()
    for batch in batches_of(bench, name, workload):
        if bench.records.find(name, f"{workload.name} sweep", batch, digest):
            continue
        answers = [timed(bench, name, replace(sample, requests=requests), batch)]
        if answers[0]["seconds"] < SLOW_SWEEP_SECONDS and not bench.quick:
            answers.append(timed(bench, name, replace(sample, requests=requests), batch))
        best = min(answers, key=lambda answer: float(answer["seconds"]))
        measured = {**best, "batch": batch, "tokens": sum(sample.tokens)}
        bench.records.add(name, f"{workload.name} sweep", batch, digest, measured)


def batches_of(bench: Bench, name: str, workload: Workload) -> Sequence[Batch]:
    """Give the batch settings worth trying: one for a lone text, and in a quick run."""
    every: Sequence[Batch] = module(name).BATCHES
    if lone(workload):
        return every[:1]
    return every[len(every) // 2 :][:1] if bench.quick else every


def lone(workload: Workload) -> bool:
    """Tell whether requests of a single text are measured."""
    return bool(workload.requests) and len(workload.requests[0]) == 1


def timed(bench: Bench, name: str, workload: Workload, batch: Batch) -> dict[str, Any]:
    """Time bulk texts, or requests where there are some; again if others worked meanwhile."""
    texts = bench.file_of(workload.requests or workload.texts)
    for _ in range(TRIES):
        with bench.quiet():
            engine = bench.engine(name)
            if workload.requests:
                answer = engine.ask(
                    do="requests",
                    texts=texts,
                    batch=batch,
                    warm_up=WARM_UP if lone(workload) and not bench.quick else WARM_UP_MANY,
                    pause_ms=workload.pause_ms,
                )
                answer["latencies_ms"] = [round(ms, 4) for ms in answer["latencies_ms"]]
                answer["seconds"] = sum(answer["latencies_ms"]) / 1e3
            else:
                answer = engine.ask(do="bulk", texts=texts, batch=batch)
        if engine.foreign_cpu <= MOST_FOREIGN_CPU:
            break
    return {
        **answer,
        "foreign_cpu": engine.foreign_cpu,
        "versions": engine.ready["versions"],
    }


def best_sweep(bench: Bench, name: str, workload: Workload) -> dict[str, Any]:
    """Give the fastest line of a sweep."""
    lines = [
        bench.records.find(name, f"{workload.name} sweep", batch, workload.digest())
        for batch in batches_of(bench, name, workload)
    ]
    return min(lines, key=lambda line: float(line["seconds"]))


def measure(bench: Bench, name: str, workload: Workload, number: int) -> None:
    """Take a contender's turn in a round."""
    if bench.records.find(name, workload.name, number, workload.digest()):
        return
    best = best_sweep(bench, name, workload)
    share = 1.0 if workload.name == "corpus" else SHARE_OF_OTHERS
    part = affordable(workload, best, bench.most_seconds * share)
    if not workload.requests and not bench.quick:
        warm_up(bench, name, workload, best["batch"])
    measured = {
        "batch": best["batch"],
        "texts": len(part.texts),
        "tokens": sum(part.tokens),
        **timed(bench, name, part, best["batch"]),
    }
    bench.records.add(name, workload.name, number, workload.digest(), measured)


def warm_up(bench: Bench, name: str, workload: Workload, batch: Batch) -> None:
    """Let a process that is new to this round see texts of every length."""
    texts = bench.file_of(workload.sample(SWEEP_TOKENS).texts)
    with bench.quiet():
        bench.engine(name).ask(do="bulk", texts=texts, batch=batch)


def affordable(workload: Workload, best: dict[str, Any], most_seconds: float) -> Workload:
    """Give as many of the texts or requests as a contender does in the time, evenly spread."""
    if workload.requests:
        count = int(most_seconds * len(best["latencies_ms"]) / best["seconds"])
        kept = spread(len(workload.requests), max(LEAST_REQUESTS, count))
        return replace(workload, requests=[workload.requests[i] for i in kept])
    expected = sum(workload.tokens) * best["seconds"] / best["tokens"]
    return workload.share(int(len(workload.texts) * min(1.0, most_seconds / expected)))


def measure_cold(bench: Bench, name: str, number: int) -> None:
    """Time a fresh process from its start to its first vector, with files in the page cache."""
    if bench.records.find(name, "cold", number, "-"):
        return
    query = bench.file_of([[QUERIES[0]]])
    batch = module(name).BATCHES[0]
    with bench.quiet():
        for _ in range(2 if number == 0 else 1):
            with watch() as others:
                start = time.perf_counter()
                with closing(Engine(name, bench.home, bench.threads)) as engine:
                    engine.ask(do="requests", texts=query, batch=batch, warm_up=0, pause_ms=0)
                    cold_ms = (time.perf_counter() - start) * 1e3
    measured = {
        "cold_ms": cold_ms,
        "load_ms": engine.ready["load_ms"],
        "foreign_cpu": others.foreign_cpu,
        "versions": engine.ready["versions"],
    }
    bench.records.add(name, "cold", number, "-", measured)


def measure_memory(bench: Bench, name: str, corpus: Workload) -> None:
    """Read the memory of a fresh process: loaded, and at its peak with the best setting."""
    if bench.records.find(name, "memory", "-", corpus.digest()):
        return
    best = best_sweep(bench, name, corpus)
    bulk = affordable(corpus, best, bench.most_seconds)
    if bench.quick:  # the worker that did everything else has to do
        measured = {"texts": len(corpus.texts), **bench.engine(name).ask(do="memory")}
        loaded = bench.engine(name).ready["rss_mib"]
        bench.records.add(
            name, "memory", "-", corpus.digest(), measured | {"loaded_rss_mib": loaded}
        )
        return
    with bench.quiet(), closing(Engine(name, bench.home, bench.threads)) as engine:
        engine.ask(do="bulk", texts=bench.file_of(bulk.texts), batch=best["batch"])
        measured = {
            "batch": best["batch"],
            "texts": len(bulk.texts),
            "loaded_rss_mib": engine.ready["rss_mib"],
            **engine.ask(do="memory"),
        }
    bench.records.add(name, "memory", "-", corpus.digest(), measured)


def measure_ceiling(bench: Bench, number: int) -> None:
    """Measure the machine's int8 ceiling."""
    bench.bar.set_postfix_str(f"ceiling, round {number + 1}")
    if not bench.records.find(ceiling.NAME, ceiling.NAME, number, "-"):
        command = [str(python(bench.home, OURS)), "-m", "benchmarks.ceiling"]
        with bench.quiet(), watch() as others:
            found = subprocess.run(
                [*command, str(bench.threads)],
                cwd=ROOT,
                check=True,
                text=True,
                stdout=subprocess.PIPE,
            )
        measured = {**json.loads(found.stdout), "foreign_cpu": others.foreign_cpu}
        bench.records.add(ceiling.NAME, ceiling.NAME, number, "-", measured)
    bench.bar.update()
