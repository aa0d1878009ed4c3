"""Build the wheels of all platforms, each twice: python kernels/wheels.py FOLDER [TAG ...].

Needs hatchling, and ziglang as targets.py pins it. Each build has its own cache of zig, so that
equal bytes say something. Prints rows of the table in docs/wheels.md.
"""

import os
import subprocess
import sys
import tempfile
import zipfile
from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
from kernels.targets import TARGETS  # noqa: E402

PURE, FOLDER = "any", "minilm_onnx/native/"
MOST_BYTES = 25 * 2**20
BUILD = "import sys, hatchling.build as b; b.build_wheel(sys.argv[1])"


def built(tag: str, folder: Path, cache: Path) -> Path:
    """Build a wheel into an empty folder.

    Raises:
        subprocess.CalledProcessError: it cannot be built; the hook has said why.
    """
    environment = {key: word for key, word in os.environ.items() if key != "MINILM_ONNX_TARGET"}
    if tag == PURE:
        environment["MINILM_ONNX_BUILD"] = "none"
    else:
        environment["MINILM_ONNX_BUILD"] = "zig"
        environment["MINILM_ONNX_TARGET"] = tag
    environment["ZIG_GLOBAL_CACHE_DIR"] = str(cache)
    folder.mkdir()
    call = [sys.executable, "-c", BUILD, str(folder)]
    subprocess.run(call, cwd=ROOT, env=environment, stdout=sys.stderr, check=True)
    (wheel,) = folder.iterdir()
    return wheel


def checked(tag: str, first: Path, second: Path) -> str:
    """Give a row of the table; raise ValueError if a wheel is not what it should be."""
    if not first.name.endswith(f"-py3-none-{tag}.whl"):
        raise ValueError(f"{first.name}: expected the tag py3-none-{tag}")
    if (first.name, first.read_bytes()) != (second.name, second.read_bytes()):
        raise ValueError(f"{first.name}: expected the same bytes twice, got others")
    size = first.stat().st_size
    if size > MOST_BYTES:
        raise ValueError(f"{first.name}: expected at most {MOST_BYTES} bytes, got {size}")
    libraries = [library_of(tag, wheel) for wheel in (first, second)]
    sums = [f"`{sha256(library).hexdigest()[:16]}`" if library else "" for library in libraries]
    return f"| `{tag}` | {len(libraries[0]):,} | {sums[0]} | {sums[1]} |"


def library_of(tag: str, wheel: Path) -> bytes:
    """Give the library in a wheel, nothing of the pure one; raise ValueError if it is not right."""
    expected = [FOLDER + target.library for target in TARGETS if target.tag == tag]
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if name.startswith(FOLDER)]
        if names != expected:
            raise ValueError(f"{wheel.name}: expected {expected} in {FOLDER}, got {names}")
        return b"".join(archive.read(name) for name in names)


def main(out: Path, tags: list[str]) -> None:
    """Build and check wheels, and move each that is right to a folder."""
    out.mkdir(parents=True, exist_ok=True)
    for tag in tags:
        with tempfile.TemporaryDirectory(dir=out, prefix=".") as scratch:
            # A cache a copy; that of another platform saves nothing.
            first, second = (
                built(tag, Path(scratch, copy), Path(scratch, f"zig-{copy}")) for copy in "ab"
            )
            print(checked(tag, first, second), flush=True)
            first.replace(out / first.name)


if __name__ == "__main__":
    everything = [*(target.tag for target in TARGETS), PURE]
    tags = sys.argv[2:] or everything
    if len(sys.argv) < 2 or not set(tags) <= set(everything):
        sys.exit(f"expected a folder, and tags of {', '.join(everything)}")
    try:
        main(Path(sys.argv[1]), tags)
    except (ValueError, subprocess.CalledProcessError) as error:
        sys.exit(str(error))
