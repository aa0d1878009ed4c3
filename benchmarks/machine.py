"""What this machine is, and how busy others keep it. Linux alone: it reads /proc."""

import fcntl
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from minilm_onnx import InputError

TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
# A measurement beside which others used more than this of a core is marked dirty.
MOST_FOREIGN_CPU = 0.15
# The kernel counts CPU time in hundredths of a second: over less than this it says little.
SHORTEST_WINDOW = 0.5


def commit(folder: Path) -> str:
    """Give the commit that is measured, marked if files differ from it."""

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(folder), *arguments], text=True, capture_output=True, check=True
        ).stdout.strip()

    changed = git("status", "--porcelain", "--", "minilm_onnx", "benchmarks")
    return git("rev-parse", "--short=12", "HEAD") + ("-changed" if changed else "")


def busy_seconds(stat: str | None = None) -> float:
    """CPU time that all processes, and the hypervisor's other guests, took since boot."""
    text = Path("/proc/stat").read_text() if stat is None else stat
    user, nice, system, _idle, _wait, irq, softirq, steal = map(int, text.split()[1:9])
    return (user + nice + system + irq + softirq + steal) / TICKS


def process_seconds(pid: int) -> float:
    """CPU time that a process took, with the children it waited for."""
    # The name may hold spaces and parentheses; what follows the last one does not.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / TICKS


def limit_cpus(threads: int) -> None:
    """Give this process, and all it starts, as many CPUs as threads: not every engine can be told.

    Raises:
        InputError: there are fewer CPUs.
    """
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) < threads:
        raise InputError(f"threads: expected at most {len(allowed)}, the CPUs here, got {threads}")
    os.sched_setaffinity(0, allowed[:threads])


def foreign_cores(cpu_seconds: float, seconds: float) -> float:
    """Average cores that CPU time amounts to."""
    return round(max(0.0, cpu_seconds) / max(seconds, SHORTEST_WINDOW), 3)


@dataclass
class Watch:
    """What others did meanwhile.

    Attributes:
        foreign_cpu: cores that they used.
    """

    foreign_cpu: float = 0.0


@contextmanager
def watch() -> Iterator[Watch]:
    """Measure what others use while this process and children that end in the block work."""
    found = Watch()
    start, busy, own = time.monotonic(), busy_seconds(), sum(os.times()[:4])
    yield found
    used = busy_seconds() - busy - (sum(os.times()[:4]) - own)
    found.foreign_cpu = foreign_cores(used, time.monotonic() - start)


@contextmanager
def hold(lock: Path | None) -> Iterator[None]:
    """Hold a lock file, if any, so that other jobs that respect it leave the machine alone."""
    if lock is None:
        yield
        return
    with lock.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
