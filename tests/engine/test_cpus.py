import ctypes
import os
import platform
import sys
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from minilm_onnx.engine.cpus import available_cpus, cgroup_quota, cpu_name


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


V1 = "4:memory:/x\n2:cpu,cpuacct:/docker/abc\n0::/\n"


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({}, None),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}, None),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "150000 100000\n"}, 1.5),
        # The tightest of the group and its parents holds.
        (
            {
                "proc/self/cgroup": "0::/a/b\n",
                "sys/fs/cgroup/a/b/cpu.max": "400000 100000\n",
                "sys/fs/cgroup/a/cpu.max": "50000 100000\n",
            },
            0.5,
        ),
        # In a container the path is the host's and only the top is there.
        ({"proc/self/cgroup": "0::/../..\n", "sys/fs/cgroup/cpu.max": "200000 100000\n"}, 2.0),
        (
            {
                "proc/self/cgroup": V1,
                "sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_quota_us": "300000\n",
                "sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_period_us": "100000\n",
            },
            3.0,
        ),
        (
            {
                "proc/self/cgroup": V1,
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1\n",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
            },
            None,
        ),
    ],
)
def test_the_quota_of_the_cgroup_is_found(
    tmp_path: Path, files: dict[str, str], quota: float | None
) -> None:
    assert cgroup_quota(write(tmp_path, files)) == quota


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system has no CPU affinity")
def test_cpus_are_those_of_the_affinity_within_the_quota(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    assert available_cpus(tmp_path) == 8
    cgroup = {"proc/self/cgroup": "0::/\n"}
    for text, expected in (("250000 100000", 3), ("50000 100000", 1), ("9900000 100000", 8)):
        write(tmp_path, {**cgroup, "sys/fs/cgroup/cpu.max": text})
        assert available_cpus(tmp_path) == expected


@pytest.mark.parametrize(
    ("files", "name"),
    [
        (
            {"proc/cpuinfo": "processor : 0\nmodel name : A CPU: 2\nflags : sse avx2 avx_vnni\n"},
            "A CPU: 2 avx2 avx_vnni",
        ),
        (
            {
                "proc/cpuinfo": "processor : 0\nFeatures : fp asimd asimddp\n",
                "proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0",
            },
            "Raspberry Pi 5 Model B Rev 1.0 asimd asimddp",
        ),
        (  # an AWS Graviton3
            {
                "proc/cpuinfo": "processor : 0\nFeatures : fp asimd asimddp i8mm\n"
                "CPU implementer : 0x41\nCPU part : 0xd40\n"
            },
            "Neoverse V1 asimd asimddp i8mm",
        ),
    ],
)
def test_the_cpu_or_board_is_named(tmp_path: Path, files: dict[str, str], name: str) -> None:
    assert cpu_name(write(tmp_path, files)) == name


def test_a_machine_that_says_nothing_still_has_a_name(tmp_path: Path) -> None:
    assert cpu_name(tmp_path)


@pytest.mark.parametrize(("failed", "name"), [(0, "Apple M2"), (-1, "arm")])
def test_macos_is_asked_for_the_name(
    failed: int, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`platform` says "arm" of every Mac of today."""

    def sysctlbyname(key: bytes, found: Any, size: Any, new: None, length: Any) -> int:
        assert key == b"machdep.cpu.brand_string"
        assert new is None
        assert length.value == 0
        found.value = b"Apple M2"
        return failed

    library = SimpleNamespace(sysctlbyname=sysctlbyname)
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(ctypes, "CDLL", lambda _: library)
    monkeypatch.setattr(platform, "processor", lambda: "arm")
    assert cpu_name(tmp_path) == name


@pytest.mark.parametrize("known", [True, False])
def test_windows_is_asked_for_the_name(
    known: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`platform` gives a family and a number there."""

    def open_key(root: str, place: str) -> Any:
        if not known:
            raise FileNotFoundError(place)
        assert root == "HKLM"
        return nullcontext(place)

    def query(place: str, name: str) -> tuple[str, int]:
        assert place.endswith(r"CentralProcessor\0")
        assert name == "ProcessorNameString"
        return "12th Gen Intel(R) Core(TM) i7-1260P  ", 1

    registry = SimpleNamespace(HKEY_LOCAL_MACHINE="HKLM", OpenKey=open_key, QueryValueEx=query)
    monkeypatch.setitem(sys.modules, "winreg", registry)
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(platform, "processor", lambda: "Intel64 Family 6")
    expected = "12th Gen Intel(R) Core(TM) i7-1260P" if known else "Intel64 Family 6"
    assert cpu_name(tmp_path) == expected
