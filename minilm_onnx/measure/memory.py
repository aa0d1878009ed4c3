"""How much memory a process took."""

import sys
from pathlib import Path


def peak_rss_mib() -> float | None:
    """Give the most memory that this process held, in MiB; None where the system does not say.

    On Linux `ru_maxrss` will not do: a process that a larger one started begins with the peak of
    that one, since exec(2) keeps it. VmHWM begins anew: proc_pid_status(5).
    """
    status = Path("/proc/self/status")
    if status.exists():
        return highest_rss_mib(status)
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def highest_rss_mib(status: Path) -> float | None:
    """Read the peak, in MiB, from a process' status in /proc; None where it is not there."""
    for line in status.read_text("utf-8", "replace").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 2**10
    return None
