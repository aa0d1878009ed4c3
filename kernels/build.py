"""Compile the native operators by the system's C compiler: python kernels/build.py [FILE]."""

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
# Nothing in the file may tell two builds apart: no symbols, no path, no number of the build.
LINK = {
    ".so": ("-s", "-Wl,--build-id=none"),
    # With -Wl,-x in place of -s, zig's linker gives other bytes each time.
    ".dylib": ("-s", "-Wl,-install_name,@rpath/minilm.dylib"),
    ".dll": ("-s",),
}
# Which instructions each kernel of a machine may use; plain C, by no name, is everywhere. All
# compilers take these; of -march on Arm, zig thinks otherwise than gcc (findings/zig-march.sh).
KERNELS = {
    "x86_64": {
        "avx512vnni": "-mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni -mfma",
        "avxvnni": "-mavx2 -mfma -mavxvnni",
        "avx2": "-mavx2 -mfma",
    },
    "aarch64": {
        "i8mm": "-mcpu=generic+dotprod+i8mm",
        "dotprod": "-mcpu=generic+dotprod",
        "neon": "",
    },
}
OTHERS = ("dispatch", "self_test", "instance", "operators")
# What `works` compiles: headers that the sources include.
PROBE = b"#include <stdatomic.h>\n#include <stdlib.h>\nvoid *probe(void) { return malloc(1); }\n"
# Loads a library, and prints the kernel that this CPU gets.
LOAD = """
import ctypes, sys
library = ctypes.CDLL(sys.argv[1])
library.minilm_kernel.restype = ctypes.c_char_p
name = library.minilm_kernel()
print(name.decode()) if name else sys.exit("none of its kernels gives the right bits")
"""


def machine_here() -> str:
    """Give this machine's name as KERNELS has it."""
    name = platform.machine().lower()
    return {"amd64": "x86_64", "arm64": "aarch64"}.get(name, name)


def name_here() -> str:
    """Give the file name of a library on this system."""
    return {"darwin": "minilm.dylib", "win32": "minilm.dll"}.get(sys.platform, "minilm.so")


def compiler() -> list[str] | None:
    """Give the system's C compiler, which CC may name; None where there is none.

    Raises:
        ValueError: CC is no command.
    """
    given = os.environ.get("CC", "").strip() or "cc"
    try:
        words = shlex.split(given, posix=os.name != "nt")  # Windows' paths have backslashes
    except ValueError as error:
        raise ValueError(
            f"CC: expected the command of a C compiler, got {given!r}: {error}; write it as in a "
            "shell, or unset it"
        ) from error
    if os.name == "nt":
        words = [word.strip('"') for word in words]
    return words if shutil.which(words[0]) else None


def works(command: list[str]) -> bool:
    """Say whether a compiler makes a library here, and knows the instructions of each kernel.

    A compiler without the C library's headers does not, nor does one that is too old. Takes 0.2 s.
    """
    with tempfile.TemporaryDirectory() as scratch:
        # Not all in one call: of several -mcpu, compilers look at the last alone.
        for name, words in {"plain": "", **KERNELS.get(machine_here(), {})}.items():
            out = Path(scratch, name).with_suffix(Path(name_here()).suffix)
            call = [*command, *FLAGS, *words.split(), "-shared", *LINK[out.suffix], "-x", "c", "-"]
            try:
                done = subprocess.run([*call, "-o", str(out)], input=PROBE, capture_output=True)
            except OSError:
                return False
            if done.returncode or not out.exists():
                return False
    return True


def build(
    out: Path, command: list[str], flags: tuple[str, ...] = (), machine: str | None = None
) -> None:
    """Compile the library.

    Args:
        out: file to write, whole or not at all; its suffix is that of the system it is for.
        command: the compiler.
        flags: further ones, for sanitizers.
        machine: what it compiles for, a key of KERNELS; None for this machine.

    Raises:
        OSError, subprocess.CalledProcessError: it did not work; the compiler has said why.
    """
    kernels = {"plain": "", **KERNELS.get(machine or machine_here(), {})}
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".") as scratch:
        folder = Path(scratch).resolve()
        # zig keeps what it compiles, more than 10 MB, and a .dll has a time in it.
        own = {"ZIG_GLOBAL_CACHE_DIR": str(folder / "zig"), "SOURCE_DATE_EPOCH": "1700000000"}
        environment = {**own, **os.environ}

        def compile_one(name: str, source: str, extra: list[str]) -> str:
            file = str(folder / f"{name}.o")
            call = [*command, *FLAGS, *flags, *extra, "-c", source, "-o", file]
            subprocess.run(call, cwd=SOURCES, env=environment, check=True)
            return file

        # A compiler takes up to 130 MB; more than two at once gain little, since one file is long.
        with ThreadPoolExecutor(2) as pool:
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
        library = folder / out.name  # which a .dll has inside
        call = [*command, *flags, "-shared", *LINK[out.suffix], *files, "-o", str(library)]
        subprocess.run(call, env=environment, check=True)
        library.replace(out)


def kernel_of(library: Path) -> str:
    """Load a library in a process of its own.

    Returns:
        The name of the kernel that this CPU gets.

    Raises:
        OSError: it does not load, or gives wrong bits.
    """
    environment = {key: word for key, word in os.environ.items() if key != "MINILM_ONNX_KERNEL"}
    call = [sys.executable, "-c", LOAD, str(library)]
    done = subprocess.run(call, env=environment, capture_output=True, text=True)
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        raise OSError(last[0])
    return done.stdout.strip()


if __name__ == "__main__":
    found = compiler()
    if found is None or len(sys.argv) > 2:
        sys.exit("expected a C compiler (cc, or what CC names), and at most the file to write")
    here = SOURCES.parent / "minilm_onnx" / "native" / name_here()
    build(Path(sys.argv[1]) if len(sys.argv) == 2 else here, found)
