"""What else kept this machine busy while something was measured. Linux alone says it."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

from minilm_onnx.engine.cpus import affinity, quota_periods, read_text

# Two runs of an engine on an idle machine differ by as much: docs/speed.md.
WORTH_SAYING = 0.05
# Columns of a CPU in /proc/stat, proc_stat(5): user, nice, system, idle, iowait, irq, softirq,
# steal; what guests took is in the first two.
IDLE = (3, 4)
COLUMNS = 8


@dataclass(frozen=True)
class Reading:
    """CPU time since the machine started.

    Attributes:
        total: of the CPUs that this process may use, in seconds, idle time included.
        busy: of that, what they worked, or a hypervisor gave to its other guests.
        own: what this process worked, all threads together.
        quotas: of the cgroup and its parents, each with its periods in which somebody worked, and
            those of them in which the quota ran out.
    """

    total: float
    busy: float
    own: float
    quotas: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Others:
    """What disturbed a measurement.

    Attributes:
        cpu_share: of the time of the CPUs, 0 to 1, what others took; None where it is not known.
        stopped_share: of the periods of the cgroup's quota, those in which this process was
            stopped because it ran out, by the tightest of the quotas; None without one.
    """

    cpu_share: float | None
    stopped_share: float | None

    @property
    def said(self) -> str:
        """In words; "" where it is too little to be seen in what was measured."""
        if self.cpu_share is not None and self.cpu_share > WORTH_SAYING:
            return (
                f"other programs or virtual machines took {self.cpu_share:.0%} of the CPUs; "
                "measure again when nothing else runs"
            )
        if self.stopped_share is not None and self.stopped_share > WORTH_SAYING:
            return (
                f"the cgroup's quota stopped this process in {self.stopped_share:.0%} of its "
                "periods; see the advice of minilm-onnx verify"
            )
        return ""


def read_cpus(root: Path = Path("/")) -> Reading | None:
    """Read how busy the machine was so far; None where the system does not say.

    Args:
        root: where proc and sys are; another folder in tests.
    """
    names = {f"cpu{number}" for number in affinity()}
    total = busy = 0
    for line in read_text(root / "proc/stat").splitlines():
        name, *words = line.split()
        if name in names:
            names.remove(name)
            ticks = [int(word) for word in words[:COLUMNS]]
            total += sum(ticks)
            busy += sum(ticks) - sum(ticks[place] for place in IDLE)
    if names:  # no such file, or a container's, which numbers its CPUs in its own way
        return None
    second = os.sysconf("SC_CLK_TCK")
    return Reading(total / second, busy / second, time.process_time(), quota_periods(root))


def others_between(start: Reading | None, end: Reading | None) -> Others:
    """Say what others did between two readings."""
    if start is None or end is None or end.total <= start.total:
        return Others(None, None)
    foreign = (end.busy - start.busy) - (end.own - start.own)
    share = min(1.0, max(0.0, foreign / (end.total - start.total)))
    stopped = [
        (late[1] - early[1]) / (late[0] - early[0])
        for early, late in zip(start.quotas, end.quotas, strict=False)
        if late[0] > early[0]
    ]
    return Others(share, max(stopped, default=None))
