import os
from pathlib import Path

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
    ],
)
def test_the_cpu_or_board_is_named(tmp_path: Path, files: dict[str, str], name: str) -> None:
    assert cpu_name(write(tmp_path, files)) == name


def test_a_machine_that_says_nothing_still_has_a_name(tmp_path: Path) -> None:
    assert cpu_name(tmp_path)
