"""libFuzzer on the native operators; fuzz_operators.c says what must hold."""

import subprocess
from pathlib import Path
from shutil import which

import pytest

from tests.support.libraries import ROOT, compiled
from tests.support.sanitizers import SANITIZERS, WATCHED, with_a_fault

pytestmark = pytest.mark.slow
RUNS = 5_000


def fuzzer(folder: Path, speed: str) -> Path:
    """Build it; AVX-VNNI in the encoding that CPUs with AVX-512 have."""
    if which("clang") is None:
        pytest.skip("clang, which has libFuzzer, is not installed")
    program, empty = folder / "fuzz", folder / "empty.c"
    empty.write_text("int LLVMFuzzerTestOneInput(const char *a, long b) { return !a && b; }")
    flags = ("-fsanitize=fuzzer," + SANITIZERS, *WATCHED)
    if subprocess.run(["clang", *flags, empty, "-o", program], capture_output=True).returncode:
        pytest.skip("clang has no libFuzzer here (Debian: libclang-rt-14-dev)")
    watched = ("-fsanitize=fuzzer-no-link," + SANITIZERS, *WATCHED, speed, "-fvisibility=default")
    library = compiled(folder, *watched, "-DAVXVNNI_AS_EVEX", command=["clang"])
    source = Path(__file__).with_name("fuzz_operators.c")
    own = ["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-I", str(ROOT / "kernels"), str(source)]
    linked = [str(library), f"-Wl,-rpath,{folder}", "-lm", "-o", str(program)]
    subprocess.run(["clang", *flags, *own, *linked], check=True)
    return program


def fuzz(program: Path) -> subprocess.CompletedProcess[str]:
    """Try inputs, the same ones each time.

    No limit for the whole process: libFuzzer would count what pytest held when it started this.
    """
    settings = (
        *(f"-runs={RUNS}", "-seed=1", "-max_len=256", "-len_control=0", "-detect_leaks=0"),
        *("-rss_limit_mb=0", "-malloc_limit_mb=2048"),
    )
    return subprocess.run(
        [program, *settings],
        cwd=program.parent,
        env={"ASAN_OPTIONS": "symbolize=0"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_nothing_breaks_the_operators(tmp_path: Path) -> None:
    done = fuzz(fuzzer(tmp_path, "-O1"))
    assert done.returncode == 0, done.stderr[-3000:]
    assert f"Done {RUNS} runs" in done.stderr
    assert "kernel plain\n" in done.stderr


def test_a_planted_fault_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_a_fault(tmp_path / "kernels", monkeypatch)
    done = fuzz(fuzzer(tmp_path, "-O0"))
    assert done.returncode != 0
    assert "AddressSanitizer: use-after-poison" in done.stderr
