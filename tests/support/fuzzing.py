"""Search for inputs that break a promise.

    python -m tests.support.fuzzing TARGET [--seconds N] [--keep]

atheris, a coverage-guided fuzzer (`pip install atheris`: Linux and macOS, CPython 3.11 to 3.13),
starts from the inputs in tests/fuzz/TARGET.txt. An input that breaks a promise ends it with an
error and stays where it says. With --keep the fewest inputs that reach all that was reached take
the place of those in tests/fuzz/TARGET.txt.

Such a file has one Python bytes literal per line, sorted: any input can be read in it, stays on
one line of a git diff, and has one spelling only, so packing twice gives the same bytes.
"""

import argparse
import ast
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

KEPT = Path(__file__).parents[1] / "fuzz"
TARGETS = ("reading", "command_line", "manifest", "partial", "texts", "documents", "database")
LONGEST = 1500


def read_inputs(path: Path) -> list[bytes]:
    """Read a packed file of inputs."""
    return [ast.literal_eval(line) for line in path.read_text("ascii").splitlines()]


def write_inputs(path: Path, inputs: Iterable[bytes]) -> None:
    """Pack inputs into one file, in place of those that it has."""
    packed = "".join(f"{data!r}\n" for data in sorted(set(inputs)))
    path.write_text(packed, "ascii", newline="\n")


def fuzz(target: str, flags: list[str]) -> None:
    """Hand this process over to atheris, which ends it."""
    import atheris

    with atheris.instrument_imports(include=["minilm_onnx"]):
        from tests.support import targets
    # libFuzzer starts itself again, by a shell, to merge.
    again = shlex.join([sys.executable, "-m", "tests.support.fuzzing", target, "--"])
    atheris.Setup([again, *flags], targets.TARGETS[target])
    atheris.Fuzz()


def main() -> int:
    """Search, and keep what is worth it."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.fuzzing", description=__doc__)
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--seconds", type=int, default=60, metavar="N", help="default: 60")
    parser.add_argument("--keep", action="store_true", help="change tests/fuzz/TARGET.txt")
    parser.add_argument("flags", nargs="*", help="of libFuzzer alone, after --")
    options = parser.parse_args()
    if options.flags:
        fuzz(options.target, options.flags)
    packed = KEPT / f"{options.target}.txt"
    packed.touch()  # a new target has none
    work = Path(tempfile.mkdtemp(prefix=f"fuzz-{options.target}-"))
    kept, found, merged = work / "kept", work / "found", work / "merged"
    for folder in (kept, found, merged):
        folder.mkdir()
    for line, data in enumerate(read_inputs(packed), 1):
        (kept / str(line)).write_bytes(data)
    command = [
        sys.executable,
        "-m",
        "tests.support.fuzzing",
        options.target,
        "--",
        f"-max_len={LONGEST}",
    ]
    searching = [
        f"-max_total_time={options.seconds}",
        f"-dict={KEPT / 'words'}",
        f"-artifact_prefix={work}/",
        "-timeout=60",
        "-print_final_stats=1",
    ]
    code = subprocess.run([*command, *searching, found, kept], check=False).returncode
    if code:
        return code
    if options.keep:
        subprocess.run([*command, "-set_cover_merge=1", merged, kept, found], check=True)
        write_inputs(packed, (path.read_bytes() for path in merged.iterdir()))
    shutil.rmtree(work)
    return 0


if __name__ == "__main__":
    sys.exit(main())
