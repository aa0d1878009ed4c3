"""How many CPUs this process really has."""

import math
import os
from pathlib import Path


def available_cpus(root: Path = Path("/")) -> int:
    """Count the CPUs this process may use: its affinity, within its cgroup's quota.

    Args:
        root: where proc and sys are; another folder in tests.
    """
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    quota = cgroup_quota(root)
    return max(1, min(count or 1, math.ceil(quota) if quota else count or 1))


def cgroup_quota(root: Path = Path("/")) -> float | None:
    """Read how many CPUs' worth of time the cgroup and its parents allow; None for no limit.

    Sources: the kernel's admin-guide/cgroup-v2 (cpu.max) and cgroup-v1 scheduler/sched-bwc
    (cpu.cfs_quota_us, cpu.cfs_period_us).
    """
    limits = []
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            base, names = root / "sys/fs/cgroup", ["cpu.max"]
        elif "cpu" in controllers.split(","):
            base = root / "sys/fs/cgroup" / controllers
            names = ["cpu.cfs_quota_us", "cpu.cfs_period_us"]
        else:
            continue
        # In a container the path may be the host's, of which only the top is mounted.
        folder = base / path.replace("..", "").strip("/")
        for place in (folder, *folder.parents):
            words = " ".join(_read(place / name) for name in names).split()
            if len(words) == 2 and words[0] not in ("max", "-1"):
                limits.append(int(words[0]) / int(words[1]))
            if place == base:
                break
    return min(limits, default=None)


def _read(path: Path) -> str:
    """Give a file's text, or nothing where there is no such file."""
    try:
        return path.read_text()
    except OSError:
        return ""
