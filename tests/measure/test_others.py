"""What else kept the machine busy while something was measured."""

import json
import os
import sys
import time
from pathlib import Path

import pytest

from minilm_onnx.cli import bench, verify
from minilm_onnx.measure import others
from minilm_onnx.measure.others import Others, Reading, others_between, read_cpus
from minilm_onnx.verify import verification
from tests.support.running import run

# Of three CPUs: user, nice, system, idle, iowait, irq, softirq, steal, guest, guest_nice.
STAT = """cpu  9 9 9 9 9 9 9 9 9 9
cpu0 100 10 20 400 30 1 2 37 50 5
cpu1 999 999 999 999 0 0 0 0 0 0
cpu2 300 0 0 100 0 0 0 0 0 0
intr 1 2 3
"""


def test_a_reading_is_of_the_cpus_of_this_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(others, "affinity", lambda: [0, 2])
    monkeypatch.setattr(os, "sysconf", lambda name: 100, raising=False)
    monkeypatch.setattr(time, "process_time", lambda: 1.5)
    assert read_cpus(tmp_path) is None
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/stat").write_text(STAT)
    assert read_cpus(tmp_path) == Reading(total=10.0, busy=4.7, own=1.5)


@pytest.mark.parametrize(
    ("cgroup", "folder"), [("0::/job", "job"), ("3:cpu,cpuacct:/job", "cpu,cpuacct/job")]
)
def test_a_reading_has_the_periods_of_a_quota(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cgroup: str, folder: str
) -> None:
    monkeypatch.setattr(others, "affinity", lambda: [0, 2])
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/stat").write_text(STAT)
    (tmp_path / "proc/self/cgroup").write_text(f"{cgroup}\n")
    own = tmp_path / "sys/fs/cgroup" / folder
    own.mkdir(parents=True)
    (own / "cpu.stat").write_text("usage_usec 5\nnr_periods 40\nnr_throttled 10\n")
    found = read_cpus(tmp_path)
    assert found is not None
    assert found.quotas[0] == (40, 10)
    assert set(found.quotas[1:]) <= {(0, 0)}


def test_what_cannot_be_read_is_not_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that nobody may read, and a container that numbers its CPUs in its own way."""
    (tmp_path / "proc/stat").mkdir(parents=True)
    assert read_cpus(tmp_path) is None
    (tmp_path / "proc/stat").rmdir()
    (tmp_path / "proc/stat").write_text(STAT)
    monkeypatch.setattr(others, "affinity", lambda: [0, 3])
    assert read_cpus(tmp_path) is None


def test_what_others_took_is_what_this_process_did_not() -> None:
    start, end = Reading(100, 50, 7), Reading(120, 66, 16)  # 16 of 20 seconds, 9 of them its own
    assert others_between(start, end) == Others(0.35, None)
    assert others_between(start, Reading(120, 58, 16)).cpu_share == 0  # ticks are coarse
    assert others_between(start, start) == others_between(None, end) == Others(None, None)
    before = Reading(100, 50, 7, quotas=((2, 1), (0, 0), (5, 0)))
    after = Reading(120, 66, 16, quotas=((10, 3), (0, 0), (95, 0)))
    assert others_between(before, after).stopped_share == 0.25


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (
            Others(0.34, None),
            "other programs or virtual machines took 34% of the CPUs; measure again",
        ),
        (
            Others(0.051, 0.5),
            "other programs or virtual machines took 5% of the CPUs; measure again",
        ),
        (Others(0.05, 0.25), "the cgroup's quota stopped this process in 25% of its periods"),
        (Others(0.05, 0.05), ""),
        (Others(None, None), ""),
    ],
)
def test_little_is_not_said(found: Others, said: str) -> None:
    assert found.said.startswith(said)
    assert bool(found.said) == bool(said)


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> list[Reading | None]:
    """What is read before and after; a measurement takes no time."""
    given: list[Reading | None] = [Reading(100, 50, 7), Reading(120, 66, 16)]
    for module in (others, verify):
        monkeypatch.setattr(module, "read_cpus", lambda: given.pop(0))
    monkeypatch.setattr(verification, "SPEED_SECONDS", 0.0)
    monkeypatch.setattr(bench, "LENGTHS", (8,))
    monkeypatch.setattr(bench, "MOST_CALLS", 3)
    monkeypatch.setattr(bench, "LEAST_TEXTS", 8)
    monkeypatch.setattr("minilm_onnx.measure.ceiling.SECONDS", 0.01)
    return given


@pytest.mark.parametrize("command", [("bench", "--seconds", "0.05"), ("verify",)])
def test_the_commands_say_it(
    readings: list[Reading | None], capsys: pytest.CaptureFixture[str], command: tuple[str, ...]
) -> None:
    again = list(readings)
    code, out, _ = run(capsys, *command)
    assert code == 0
    assert (
        "\nmeanwhile  other programs or virtual machines took 35% of the CPUs; measure again when"
        in out
    )
    readings[:] = again
    _, out, said = run(capsys, *command, "--json")
    assert ("35% of the CPUs" in said) == (command[0] == "bench")
    shares = json.loads(out)["others"]
    assert shares == {"cpu_share": pytest.approx(0.35), "stopped_share": None}
    readings[:] = [None, None]
    assert "meanwhile" not in run(capsys, *command)[1]
    readings[:] = [None, None]
    unknown = json.loads(run(capsys, *command, "--json")[1])["others"]
    assert unknown == {"cpu_share": None, "stopped_share": None}


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")
def test_this_machine_says_how_busy_it_is() -> None:
    start, end = read_cpus(), read_cpus()
    assert start is not None
    assert end is not None
    assert 0 < start.busy <= start.total <= end.total
