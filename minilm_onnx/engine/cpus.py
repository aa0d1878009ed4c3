"""Which CPU this is, and how many of it this process really has."""

import math
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

# As Linux calls them on x86 and on ARM.
KERNEL_FLAGS = (
    "avx2",
    "avx_vnni",
    "avx512f",
    "avx512_vnni",
    "avx512_bf16",
    "amx_int8",
    "asimd",
    "asimddp",
    "i8mm",
)
# Implementer and part of Arm's cores, as /proc/cpuinfo has them, which names none of them there.
# Source: the kernel's arch/arm64/include/asm/cputype.h.
ARM_CORES = {
    ("0x41", "0xd03"): "Cortex-A53",
    ("0x41", "0xd08"): "Cortex-A72",
    ("0x41", "0xd0b"): "Cortex-A76",
    ("0x41", "0xd0c"): "Neoverse N1",
    ("0x41", "0xd40"): "Neoverse V1",
    ("0x41", "0xd49"): "Neoverse N2",
    ("0x41", "0xd4f"): "Neoverse V2",
    ("0x41", "0xd84"): "Neoverse V3",
}


def available_cpus(root: Path = Path("/")) -> int:
    """Count the CPUs this process may use: its affinity, within its cgroup's quota.

    Args:
        root: where proc and sys are; another folder in tests.
    """
    count = len(affinity()) or os.cpu_count()
    quota = cgroup_quota(root)
    return max(1, min(count or 1, math.ceil(quota) if quota else count or 1))


def affinity() -> list[int]:
    """Give the numbers of the CPUs this thread may run on; none where the system does not say."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def machine_cpus() -> int:
    """Count the machine's CPUs, whether this process may use them or not."""
    return os.cpu_count() or 1


def governors(root: Path = Path("/")) -> list[str]:
    """Name what decides the clock of each CPU, as in the kernel's admin-guide/pm/cpufreq."""
    folder = root / "sys/devices/system/cpu/cpufreq"
    return [read_text(path).strip() for path in sorted(folder.glob("policy*/scaling_governor"))]


@contextmanager
def staying_on(cpus: Sequence[int], place: int) -> Iterator[None]:
    """Keep this thread on one of several CPUs for a while.

    Args:
        cpus: one for each thread of a group; none to leave this thread alone, which is also done
            where somebody else restricted it.
        place: which of them is this thread's.
    """
    if not cpus or not set(cpus) <= set(before := affinity()):
        yield
        return
    # Faster, but not needed: a sandbox may forbid it, and a CPU may be taken away meanwhile.
    try:
        with suppress(OSError):
            os.sched_setaffinity(0, {cpus[place]})
        yield
    finally:
        with suppress(OSError):
            os.sched_setaffinity(0, before)


def cgroup_quota(root: Path = Path("/")) -> float | None:
    """Read how many CPUs' worth of time the cgroup and its parents allow; None for no limit.

    Sources: the kernel's admin-guide/cgroup-v2 (cpu.max) and cgroup-v1 scheduler/sched-bwc
    (cpu.cfs_quota_us, cpu.cfs_period_us).
    """
    limits = []
    for place, names in _cgroups(root):
        words = " ".join(read_text(place / name) for name in names).split()
        if len(words) == 2 and words[0] not in ("max", "-1"):
            limits.append(int(words[0]) / int(words[1]))
    return min(limits, default=None)


def quota_periods(root: Path = Path("/")) -> tuple[tuple[int, int], ...]:
    """Read the periods of the quotas of the cgroup and its parents, and in how many each ran out.

    Sources: nr_periods and nr_throttled of cpu.stat, as above. A cgroup without a quota has none.
    """
    found = []
    for place, _ in _cgroups(root):
        lines = (line.partition(" ") for line in read_text(place / "cpu.stat").splitlines())
        counts = {name: int(count) for name, _, count in lines if count.isdecimal()}
        found.append((counts.get("nr_periods", 0), counts.get("nr_throttled", 0)))
    return tuple(found)


def _cgroups(root: Path) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """Give the folders of the cgroup and its parents, and the names of the files of their quota."""
    for line in read_text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            base = root / "sys/fs/cgroup"
            names: tuple[str, ...] = ("cpu.max",)
        elif "cpu" in controllers.split(","):
            base = root / "sys/fs/cgroup" / controllers
            names = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
        else:
            continue
        # In a container the path may be the host's, of which only the top is mounted.
        folder = base / path.replace("..", "").strip("/")
        for place in (folder, *folder.parents):
            yield place, names
            if place == base:
                break


def cpu_name(root: Path = Path("/")) -> str:
    """Name the CPU or the board, and the instructions that decide between int8 kernels."""
    import platform  # not needed to embed

    fields, flags = _cpuinfo(root), cpu_flags(root)
    board = read_text(root / "proc/device-tree/model").strip("\0 \n")
    core = ARM_CORES.get((fields.get("CPU implementer", ""), fields.get("CPU part", "")))
    name = fields.get("model name") or board or core or _system_name()
    name = name or platform.processor() or platform.machine()
    return " ".join([name, *(flag for flag in KERNEL_FLAGS if flag in flags)])


def _system_name() -> str:
    """Ask macOS or Windows for the CPU's name, which `platform` does not know; else nothing."""
    if sys.platform == "darwin":
        import ctypes

        name = ctypes.create_string_buffer(256)
        size, nothing = ctypes.c_size_t(len(name)), ctypes.c_size_t(0)
        # sysctl(3): 0 for success.
        asked = (b"machdep.cpu.brand_string", name, ctypes.byref(size), None, nothing)
        with suppress(OSError, AttributeError):
            failed = ctypes.CDLL(None).sysctlbyname(*asked)
            return "" if failed else name.value.decode("utf-8", "replace")
    if sys.platform == "win32":
        import winreg

        place = r"HARDWARE\DESCRIPTION\System\CentralProcessor\0"
        with suppress(OSError), winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, place) as key:
            return str(winreg.QueryValueEx(key, "ProcessorNameString")[0]).strip()
    return ""


def cpu_flags(root: Path = Path("/")) -> set[str]:
    """Give what the CPU can do, as Linux calls it; nothing where the system does not say."""
    fields = _cpuinfo(root)
    return set(fields.get("flags", fields.get("Features", "")).split())


def _cpuinfo(root: Path) -> dict[str, str]:
    """Read what Linux says of the last CPU."""
    pairs = (line.partition(":") for line in read_text(root / "proc/cpuinfo").splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def read_text(path: Path) -> str:
    """Give a file's text, or nothing where there is no such file."""
    try:
        return os.fsdecode(path.read_bytes())  # names of cgroups are those of folders
    except OSError:
        return ""
