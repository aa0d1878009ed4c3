"""Measure contenders side by side: every round, each of them once on each workload.

Before time is taken a contender's vectors are checked, and its batch setting is swept on a sample
of each workload. Every round has processes of its own, of which one computes at a time; in a quick
run they stay alive.
"""

from collections.abc import Sequence

from benchmarks.bench import Bench
from benchmarks.measurements import (
    check_vectors,
    measure,
    measure_ceiling,
    measure_cold,
    measure_memory,
    sweep,
)
from benchmarks.workloads import Workload


def run(bench: Bench, names: Sequence[str], checks: Workload, rounds: int) -> None:
    """Take every measurement that is not in the records yet.

    Args:
        bench: the run's means.
        names: contenders that are set up.
        checks: texts whose vectors are compared with the reference.
        rounds: how often each contender gets its turn.
    """
    (corpus,) = (workload for workload in bench.workloads if workload.name == "corpus")
    try:
        for name in names:
            with bench.step(name, "vectors"):
                check_vectors(bench, name, checks)
        for workload in bench.workloads:
            for name in (name for name in names if name not in bench.lost):
                with bench.step(name, f"{workload.name} sweep"):
                    sweep(bench, name, workload)
        for number in range(rounds):
            if not bench.quick:
                bench.close_engines()
            # Whoever comes first in a round comes last in the next.
            order = names if number % 2 == 0 else names[::-1]
            measure_ceiling(bench, number)
            for workload in bench.workloads:
                for name in (name for name in order if name not in bench.lost):
                    with bench.step(name, f"{workload.name}, round {number + 1}"):
                        measure(bench, name, workload, number)
            for name in (name for name in order if name not in bench.lost and not bench.quick):
                with bench.step(name, f"cold start, round {number + 1}"):
                    measure_cold(bench, name, number)
        for name in (name for name in names if name not in bench.lost):
            with bench.step(name, "memory"):
                measure_memory(bench, name, corpus)
    finally:
        bench.close_engines()


def steps(names: Sequence[str], workloads: Sequence[Workload], rounds: int, *, quick: bool) -> int:
    """Count the steps of a run, for its progress."""
    a_round = len(workloads) + (not quick)
    return len(names) * (2 + len(workloads) + rounds * a_round) + rounds
