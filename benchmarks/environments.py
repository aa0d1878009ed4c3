"""An environment of its own for every contender, and a note on how that went."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks import ROOT
from benchmarks.contenders import module
from benchmarks.machine import hold

HOME = Path(__file__).parent / ".environments"
THREAD_VARIABLES = ("OMP_NUM_THREADS", "RAYON_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True)
class Note:
    """How setting a contender up went.

    Attributes:
        contender: its name.
        requirements: what pip was asked for.
        step: "ready", or the step that failed: "install", "prepare" or "load".
        reason: the last lines of what failed said.
        installed_mib: size of the environment's packages.
        model_mib: size of what the checkpoint was converted to.
    """

    contender: str
    requirements: list[str]
    step: str
    reason: str = ""
    installed_mib: float = 0.0
    model_mib: float = 0.0


def requirements_of(name: str) -> list[str]:
    """What a contender needs."""
    return [*module(name).REQUIREMENTS, *npm_requirements(name)]


def npm_requirements(name: str) -> list[str]:
    """What a contender needs of npm."""
    return list(getattr(module(name), "NPM_REQUIREMENTS", ()))


def python(home: Path, name: str) -> Path:
    """Where a contender's interpreter is."""
    return home / name / "venv" / "bin" / "python"


def model_folder(home: Path, name: str) -> Path:
    """Where what a contender loads is."""
    return home / name / "model"


def read_note(home: Path, name: str) -> Note | None:
    """Read how setting a contender up went; None if that was never tried."""
    path = home / name / "note.json"
    return Note(**json.loads(path.read_text("utf-8"))) if path.exists() else None


def set_up(name: str, home: Path, checkpoint: Path, lock: Path | None) -> Note:
    """Install a contender and convert the checkpoint for it, unless that is done."""
    requirements = requirements_of(name)
    note = read_note(home, name)
    if note and note.step == "ready" and note.requirements == requirements:
        return note
    step, reason = "install", ""
    npm = npm_requirements(name)
    try:
        unwanted = getattr(module(name), "UNWANTED", ())
        install(home / name / "venv", [line for line in requirements if line not in npm], unwanted)
        if npm:
            npm_install(home / name / "venv", npm)
        step = "prepare"
        convert(name, home, checkpoint, lock)
        step = "load"
        call(
            worker_command(name, home, 1),
            cwd=ROOT,
            env=worker_environment(1),
            stdin=subprocess.DEVNULL,
        )
        step = "ready"
    except subprocess.CalledProcessError as error:
        reason = "\n".join(str(error.output).strip().splitlines()[-15:])
    note = Note(
        name,
        requirements,
        step,
        reason,
        folder_mib(home / name / "venv" / "lib"),
        folder_mib(model_folder(home, name)),
    )
    (home / name / "note.json").write_text(json.dumps(asdict(note), indent=2), "utf-8")
    return note


def install(venv: Path, requirements: Sequence[str], unwanted: Sequence[str] = ()) -> None:
    """Make an environment from nothing; packages that are unwanted are uninstalled again."""
    shutil.rmtree(venv, ignore_errors=True)
    # Without pip, whose size no contender's user pays for.
    call([sys.executable, "-m", "venv", "--without-pip", str(venv)])
    pip = [sys.executable, "-m", "pip", "--python", str(venv)]
    installing = [*pip, "install", "-qq"]
    # The build of torch for CPUs, before anything can bring another.
    for torch in (line for line in requirements if line.startswith("torch==")):
        call([*installing, torch])
    here = f"git+file://{ROOT}"
    own = (str(ROOT) if line == "." else line for line in requirements)
    call([*installing, *(line.replace("git+file://.", here) for line in own)])
    if unwanted:
        call([*pip, "uninstall", "-qq", "--yes", *unwanted])


def npm_install(venv: Path, requirements: Sequence[str]) -> None:
    """Let the npm that pip brought install packages under the environment's lib."""
    binaries = venv.resolve() / "bin"
    npm = [str(binaries / "npm"), "install", "--prefix", str(venv.resolve() / "lib")]
    call(
        # onnxruntime-node's script would download a build for CUDA; what a CPU needs is there.
        [*npm, "--ignore-scripts", *requirements],
        env=os.environ | {"PATH": f"{binaries}:{os.environ['PATH']}"},
    )


def convert(name: str, home: Path, checkpoint: Path, lock: Path | None) -> None:
    """Run a contender's `prepare` once, in an environment shared by all that ask for the same.

    What is there already is kept: remove the folder to have it made anew.
    """
    folder = model_folder(home, name)
    if folder.exists():
        return
    needs = getattr(module(name), "SETUP_REQUIREMENTS", None)
    interpreter = python(home, name)
    if needs is not None:
        digest = hashlib.sha256("\n".join(needs).encode()).hexdigest()[:8]
        shared = home / f"convert-{digest}"
        interpreter = python(home, shared.name)
        if not (shared / "ready").exists():
            install(shared / "venv", needs)
            (shared / "ready").touch()
    with hold(lock):
        call(
            [str(interpreter), "-m", "benchmarks.prepare", name, str(checkpoint), str(folder)],
            cwd=ROOT,
            env=worker_environment(os.cpu_count() or 1),
        )


def worker_command(name: str, home: Path, threads: int) -> list[str]:
    """Give the command that starts a contender's worker."""
    interpreter, folder = python(home, name), model_folder(home, name)
    own = getattr(module(name), "worker", None)
    if own is not None:
        found: list[str] = own(interpreter.parents[1], folder, threads)
        return found
    return [str(interpreter), "-m", "benchmarks.worker", name, str(folder), str(threads)]


def worker_environment(threads: int) -> dict[str, str]:
    """Give the environment variables of a worker."""
    fixed = {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    return os.environ | fixed | dict.fromkeys(THREAD_VARIABLES, str(threads))


def call(command: list[str], **options: Any) -> None:
    """Run a command; what it said goes with the error if it fails."""
    subprocess.run(
        command, check=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options
    )


def folder_mib(folder: Path) -> float:
    """Size of a folder's files."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return round(sum(path.stat().st_size for path in files) / 2**20, 1)


def set_up_all(names: Sequence[str], home: Path, checkpoint: Path, lock: Path | None) -> bool:
    """Set contenders up, say how each went, and whether all are ready."""
    ready = True
    for name in names:
        start = time.monotonic()
        note = set_up(name, home.resolve(), checkpoint.resolve(), lock)
        ready = ready and note.step == "ready"
        size = f"{note.installed_mib:.0f} MiB of packages, {note.model_mib:.0f} MiB of model"
        state = size if note.step == "ready" else f"{note.step} failed: {note.reason}"
        print(f"{name}: {state} ({time.monotonic() - start:.0f} s)", flush=True)
    return ready
