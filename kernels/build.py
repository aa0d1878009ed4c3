"""Compile the native operators: `python kernels/build.py FILE` with the system's C compiler."""

import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

SOURCES = Path(__file__).parent
# No compiler may fuse products and sums of its own accord: that would be other numbers.
EXACT = "-ffp-contract=off"
FLAGS = (EXACT, "-std=gnu11", "-O3", "-fno-math-errno", "-fPIC", "-fvisibility=hidden", "-g0")
# Which instructions each kernel of a machine may use; plain C, by no name, is everywhere.
KERNELS = {
    "x86_64": {
        "avx512vnni": "-mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni -mfma",
        "avxvnni": "-mavx2 -mfma -mavxvnni",
        "avx2": "-mavx2 -mfma",
    },
    "aarch64": {
        "i8mm": "-march=armv8.2-a+dotprod+i8mm",
        "dotprod": "-march=armv8.2-a+dotprod",
        "neon": "",
    },
}
OTHERS = ("dispatch", "self_test", "instance", "operators")


def machine() -> str:
    """Give this machine's name as KERNELS has it."""
    name = platform.machine().lower()
    return {"amd64": "x86_64", "arm64": "aarch64"}.get(name, name)


def compiler() -> list[str] | None:
    """Give the system's C compiler, which CC may name; None where there is none."""
    words = shlex.split(os.environ.get("CC", "cc"))
    return words if words and shutil.which(words[0]) else None


def build(out: Path, command: list[str], flags: tuple[str, ...] = ()) -> None:
    """Compile the library.

    Args:
        out: file to write, whole or not at all.
        command: the compiler.
        flags: further ones, for sanitizers.

    Raises:
        OSError, subprocess.CalledProcessError: it did not work; the compiler has said why.
    """
    kernels = {"plain": "", **KERNELS.get(machine(), {})}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)

        def compile_one(name: str, source: str, extra: list[str]) -> str:
            file = str(folder / f"{name}.o")
            call = [*command, *FLAGS, *flags, *extra, "-c", source, "-o", file]
            subprocess.run(call, cwd=SOURCES, check=True)
            return file

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            parts = [
                pool.submit(
                    compile_one,
                    name,
                    "encoder.c",
                    [f"-DKERNEL=minilm_{name}", f"-DKERNEL_{name.upper()}", *words.split()],
                )
                for name, words in kernels.items()
            ]
            parts += [pool.submit(compile_one, name, f"{name}.c", []) for name in OTHERS]
            files = [part.result() for part in parts]
        library = folder / "library"
        call = [*command, *flags, "-shared", "-s", *files, "-o", str(library)]
        subprocess.run(call, check=True)
        out.parent.mkdir(parents=True, exist_ok=True)
        staged = out.with_name(f".{out.name}.new")
        shutil.copyfile(library, staged)
        staged.replace(out)


if __name__ == "__main__":
    found = compiler()
    if found is None or len(sys.argv) != 2:
        sys.exit("expected a C compiler (cc, or what CC names) and the file to write")
    build(Path(sys.argv[1]), found)
