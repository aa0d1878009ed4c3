"""The native operators inside Python, watched by AddressSanitizer and UBSan."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.libraries import compiled, package_with
from tests.support.sanitizers import SANITIZERS, WATCHED, with_a_fault

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="preloads the sanitizers as Linux does"),
]
# Embeds texts of 2 to 256 tokens, alone and together, then in two threads at once, and has ids
# and lengths refused.
CODE = """
import os, sys
from threading import Thread
import numpy as np
from minilm_onnx.engine.native import KERNEL, kernels, load, native, native_for
from minilm_onnx.engine.policy import choose_policy
from minilm_onnx.engine.session import Session
from minilm_onnx.errors import SessionError
from minilm_onnx.folder.finding import BUNDLED
from minilm_onnx.folder.layout import GRAPH
graph, wanted = BUNDLED / GRAPH, sys.argv[1]
library = native_for(graph)
assert library.kernel == wanted, library
random = np.random.default_rng(0)
plain = wanted == "plain"
shapes = [(1, 2), (2, 17)] if plain else [
    *((1, length) for length in (2, 15, 17, 100, 256)), (20, 5), (3, 33)]
batches = [random.integers(1000, 20000, shape) for shape in shapes]
session = Session(graph, choose_policy(threads=2, pinning=False), library)
alone = [session.run(ids) for ids in batches]
def again():
    for ids, expected in zip(batches, alone):
        assert np.array_equal(session.run(ids), expected)
    done.append(True)
done = []
threads = [Thread(target=again) for _ in range(2)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert len(done) == 2
for wrong in (np.full((1, 600), 101), np.array([[30522]]), np.array([[-1]]), np.array([[2**62]])):
    try:
        session.run(wrong)
        raise AssertionError("taken")
    except SessionError:
        pass
print("watched", wanted)
"""
KERNELS = """
from minilm_onnx.engine.native import find_library, kernels
print(*(kernel.name for kernel in kernels(find_library()) if kernel.right))
"""


def runtimes() -> str:
    """The sanitizers' libraries, which must be there before Python is."""
    build = pytest.importorskip("kernels.build", reason="not a checkout")
    found = []
    for name in ("libasan.so", "libubsan.so"):
        call = [*(build.compiler() or ["cc"]), f"-print-file-name={name}"]
        done = subprocess.run(call, capture_output=True, text=True, check=False)
        path = done.stdout.strip()
        if not Path(path).is_absolute():
            pytest.skip(f"the C compiler has no {name}; gcc has")
        found.append(path)
    return ":".join(found)


def watched(
    project: Path, code: str, *arguments: str, **more: str
) -> subprocess.CompletedProcess[str]:
    """Run Python with the sanitizers, and with a copy of this project."""
    path = os.pathsep.join([str(project), *(path for path in sys.path if path)])
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, *arguments],
        cwd=project,
        env={
            **os.environ,
            "PYTHONPATH": path,
            "LD_PRELOAD": runtimes(),
            # Python and onnxruntime leave much behind; symbolising can hang under Python.
            "ASAN_OPTIONS": "detect_leaks=0:symbolize=0",
            **more,
        },
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def package(folder: Path, *flags: str) -> Path:
    library = compiled(folder, f"-fsanitize={SANITIZERS}", *WATCHED, *flags)
    return package_with(library, folder / "project")


def test_no_kernel_does_what_it_must_not(tmp_path: Path) -> None:
    runtimes()
    project = package(tmp_path, "-O1", "-DAVXVNNI_AS_EVEX")
    found = watched(project, KERNELS)
    assert found.returncode == 0, found.stderr
    names = found.stdout.split()
    assert names[-1] == "plain"
    for name in names:
        done = watched(project, CODE, name, MINILM_ONNX_KERNEL=name)
        assert (done.returncode, done.stdout) == (0, f"watched {name}\n"), done.stderr[-3000:]


def test_a_planted_overrun_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runtimes()
    with_a_fault(tmp_path / "kernels", monkeypatch)
    done = watched(package(tmp_path, "-O0"), KERNELS)
    assert done.returncode != 0
    assert "AddressSanitizer: use-after-poison" in done.stderr
