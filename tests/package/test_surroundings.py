"""Machines that lack something, are full, or small: the same vectors, or one line and no file."""

import json
import os
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from minilm_onnx import SentenceEncoder
from minilm_onnx.measure.sample import sample_texts

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="takes things away as Linux can")

TEXTS = [f"a text with the number {number}, and été" for number in range(40)]
EMBED = (sys.executable, "-m", "minilm_onnx", "embed", "texts.txt")
# What a child needs of this process's environment to find Python and the package.
NEEDED = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "VIRTUAL_ENV")
MIB = 2**20
CGROUPS = Path("/sys/fs/cgroup")


@pytest.fixture
def work(tmp_path: Path) -> Path:
    (tmp_path / "texts.txt").write_text("\n".join(TEXTS) + "\n", "utf-8")
    return tmp_path


def run(
    command: Sequence[str | Path],
    work: Path,
    environment: dict[str, str] | None = None,
    before: Callable[[], object] | None = None,
) -> subprocess.CompletedProcess[str]:
    kept = {name: os.environ[name] for name in NEEDED if name in os.environ}
    return subprocess.run(
        command,
        cwd=work,
        env={**kept, **(environment or {})},
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        preexec_fn=before,
    )


def check_vectors(work: Path, encoder: SentenceEncoder) -> None:
    assert np.array_equal(np.load(work / "v.npy"), encoder.encode(TEXTS))


def one_line(result: subprocess.CompletedProcess[str], code: int) -> str:
    """A failure in one line of stderr."""
    assert result.returncode == code, result.stderr
    lines = [line for line in result.stderr.splitlines() if not line.startswith("going on")]
    assert lines[-1].startswith("error: ")
    assert "Traceback" not in result.stderr
    return lines[-1]


def namespace(*mounts: str) -> list[str]:
    """The command that runs another in mounts of its own, or a skip."""
    as_root = [] if os.geteuid() == 0 else ["--map-root-user"]
    command = ["unshare", *as_root, "--mount", "--net", "sh", "-c"]
    script = " && ".join(["mount --make-rprivate /", *mounts, 'exec "$@"'])
    if shutil.which("unshare") is None:
        pytest.skip("unshare is not installed")
    tried = subprocess.run([*command, script, "sh", "true"], capture_output=True, check=False)
    if tried.returncode:
        pytest.skip("no mounts of one's own here")
    return [*command, script, "sh"]


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"HOME": "/no/such/home"},
        {"HOME": "/proc"},
        {"TMPDIR": "/no/such/folder"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONIOENCODING": "ascii", "LC_ALL": "POSIX", "PYTHONUTF8": "0"},
        {"OMP_NUM_THREADS": "many", "ORT_DISABLE_TELEMETRY": "", "MALLOC_ARENA_MAX": "1"},
    ],
    ids=["none", "no home", "unwritable home", "no temporary folder", "C", "ascii", "odd values"],
)
def test_no_environment_is_needed(
    work: Path, encoder: SentenceEncoder, environment: dict[str, str]
) -> None:
    result = run([*EMBED, "--out", "v.npy"], work, environment)
    assert result.returncode == 0, result.stderr
    check_vectors(work, encoder)
    result = run([*EMBED, "--format", "jsonl"], work, environment)
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert [row["text"] for row in rows] == TEXTS


def test_a_read_only_machine_without_a_network_is_enough(
    work: Path, encoder: SentenceEncoder
) -> None:
    """All is read-only, home and /tmp too, but for the folder of the output."""
    command = namespace(
        f"mount --bind {work} /mnt",
        "mount -o remount,bind,ro /",
        "mount -t tmpfs -o ro none /tmp",
        "mount -t tmpfs -o ro none /var/tmp",
        "cd /mnt",
    )
    if str(Path(sys.executable)).startswith("/tmp"):
        pytest.skip("Python itself lies in /tmp")
    result = run([*command, *EMBED, "--out", "v.npy"], work, {"HOME": "/root"})
    assert result.returncode == 0, result.stderr
    check_vectors(work, encoder)


def test_a_working_folder_that_was_removed_is_no_obstacle(
    work: Path, encoder: SentenceEncoder
) -> None:
    code = (
        "import os, sys; os.mkdir('gone'); os.chdir('gone'); os.rmdir('../gone')\n"
        "from minilm_onnx.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    arguments = ["embed", str(work / "texts.txt"), "--out", str(work / "v.npy")]
    result = run([sys.executable, "-c", code, *arguments], work)
    assert result.returncode == 0, result.stderr
    check_vectors(work, encoder)


@pytest.mark.parametrize("kind", ["npy", "jsonl", "csv"])
@pytest.mark.parametrize("resume", [False, True])
def test_a_full_disk_leaves_what_was_there(work: Path, kind: str, resume: bool) -> None:
    command = namespace(
        "mkdir -p small",
        "mount -t tmpfs -o size=32k none small",
        f"echo before > small/v.{kind}",
    )
    embed = " ".join([*EMBED, f"--out=small/v.{kind}", *["--resume"] * resume])
    result = run([*command, "sh", "-c", f"{embed}; echo $?; cat small/v.*{kind}; ls small"], work)
    assert result.stdout.splitlines()[:3] == ["1", "before", f"v.{kind}"]
    assert "free some space" in one_line(result, 0)
    # With --resume what is there stays, to go on with.
    assert result.stdout.splitlines()[3:] == [f"v.{kind}.partial"] * resume


def test_resume_goes_on_when_there_is_space_again(work: Path, encoder: SentenceEncoder) -> None:
    command = namespace("mkdir -p small", "mount -t tmpfs -o size=48k none small")
    embed = " ".join([*EMBED, "--out=small/v.npy", "--resume"])
    script = f"{embed}; echo $?; mount -o remount,size=4m small; {embed}; echo $?; cp small/* ."
    result = run([*command, "sh", "-c", script], work)
    assert result.stdout == "1\n0\n"
    check_vectors(work, encoder)


def test_one_cpu_by_affinity_is_one_thread_and_the_same_bits(
    work: Path, encoder: SentenceEncoder
) -> None:
    one = {min(os.sched_getaffinity(0))}
    result = run([*EMBED, "--out", "v.npy"], work, before=lambda: os.sched_setaffinity(0, one))
    assert result.returncode == 0, result.stderr
    check_vectors(work, encoder)
    command = [sys.executable, "-m", "minilm_onnx", "info", "--json"]
    result = run(command, work, before=lambda: os.sched_setaffinity(0, one))
    assert json.loads(result.stdout)["policy"]["threads"] == 1


@pytest.fixture
def cgroup() -> Iterator[Callable[[str, dict[str, str]], Path]]:
    """Make a cgroup below this process's own with some limits, or skip."""
    made: list[Path] = []

    def make(controller: str, limits: dict[str, str]) -> Path:
        own = {}
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, names, path = line.split(":", 2)
            own.update(dict.fromkeys(names.split(","), path.lstrip("/")))
        folder = CGROUPS / controller / own.get(controller, "")
        if controller not in own:
            folder = CGROUPS / own.get("", "")
        folder /= f"minilm-{uuid.uuid4().hex[:8]}"
        try:
            folder.mkdir()
            made.append(folder)
            for name, value in limits.items():
                if (folder / name).exists():
                    (folder / name).write_text(value)
            if not any((folder / name).exists() for name in limits):
                raise OSError("no such controller")
        except OSError as error:
            pytest.skip(f"no cgroup of one's own here: {error}")
        return folder

    yield make
    for folder in made:
        with suppress(OSError):
            folder.rmdir()


def enter(folder: Path) -> Callable[[], object]:
    return lambda: (folder / "cgroup.procs").write_text(str(os.getpid()))


def test_half_a_cpu_by_quota_is_one_thread_and_the_same_bits(
    work: Path, encoder: SentenceEncoder, cgroup: Callable[[str, dict[str, str]], Path]
) -> None:
    half = cgroup(
        "cpu",
        {"cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "50000", "cpu.max": "50000 100000"},
    )
    result = run([*EMBED, "--out", "v.npy"], work, before=enter(half))
    assert result.returncode == 0, result.stderr
    check_vectors(work, encoder)
    command = [sys.executable, "-m", "minilm_onnx", "info", "--json"]
    facts = json.loads(run(command, work, before=enter(half)).stdout)
    assert facts["cgroup_quota"] == 0.5
    assert facts["policy"]["threads"] == 1


def test_256_mib_of_memory_are_enough(
    tmp_path: Path, encoder: SentenceEncoder, cgroup: Callable[[str, dict[str, str]], Path]
) -> None:
    limit = str(256 * MIB)
    small = cgroup("memory", {"memory.limit_in_bytes": limit, "memory.max": limit})
    texts = sample_texts(400)
    (tmp_path / "texts.txt").write_text("\n".join(texts), "utf-8")
    result = run([*EMBED, "--out", "v.npy", "--threads", "2"], tmp_path, before=enter(small))
    assert result.returncode == 0, result.stderr
    assert np.array_equal(np.load(tmp_path / "v.npy"), encoder.encode(texts))


@pytest.mark.parametrize("mib", [16, 40, 70, 120])
def test_too_little_memory_is_one_line_and_no_output(work: Path, mib: int) -> None:
    code = (
        "import resource, sys\n"
        "import numpy, onnxruntime, tokenizers\n"  # what is loaded before is not at issue
        "from minilm_onnx.cli import main\n"
        f"resource.setrlimit(resource.RLIMIT_DATA, ({mib * MIB},) * 2)\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    (work / "texts.txt").write_text("word " * 3000 + "\n" * 3, "utf-8")
    arguments = ["embed", "texts.txt", "--out", "v.npy", "--threads", "1"]
    result = run([sys.executable, "-c", code, *arguments], work)
    if result.returncode == -signal.SIGSEGV and onnxruntime.__version__ == "1.23.2":
        assert not (work / "v.npy").exists()
        pytest.xfail("a kernel of onnxruntime 1.23.2 ends the process where it gets no memory")
    # Where it is tokenizers that gets no memory, Rust ends the process after a line of its own.
    if result.returncode == -signal.SIGABRT:
        assert "memory allocation" in result.stderr
    elif result.returncode:
        assert "memory" in one_line(result, 1)
    assert (work / "v.npy").exists() == (result.returncode == 0)
