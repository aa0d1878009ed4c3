"""What an install weighs and how soon it answers: python -m benchmarks.footprint.

Two environments are made: pip's, and a lean one of the four packages that are needed alone. Their
sizes are listed by package; then fresh processes of the first are timed in turns. --publish writes
the figures into docs/edge.md; --check FILE compares with an earlier run instead.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import ROOT
from benchmarks.environments import folder_mib, install
from benchmarks.machine import commit
from benchmarks.publish import fill_page
from minilm_onnx import InputError
from minilm_onnx.cli import report_errors

LEAN = ("numpy", "onnxruntime", "tokenizers")
ROUNDS = 15
MOST_IMPORT_MS = 150.0
# Of the published ratio: speeds differ between machines, ratios to their own imports less so.
MOST_FIRST_VECTOR = 2.0
DOCUMENT = ROOT / "docs" / "edge.md"

PROGRAMS = {
    "imports": "import numpy, onnxruntime",
    "package": "import numpy, onnxruntime, minilm_onnx",
    "first vector": "import minilm_onnx; minilm_onnx.SentenceEncoder().encode('a text')",
}
SIZES = """
import json, sys
from importlib.metadata import distributions
sizes = {}
for found in distributions(path=[sys.argv[1]]):
    paths = [found.locate_file(path) for path in found.files or []]
    sizes[found.name] = sum(path.stat().st_size for path in paths if path.is_file()) / 2**20
print(json.dumps(sizes))
"""


def site(venv: Path) -> Path:
    """Where an environment's packages are."""
    (found,) = (venv / "lib").glob("python*/site-packages")
    return found


def sizes(venv: Path) -> dict[str, float]:
    """MiB of each package of an environment, largest first."""
    result = subprocess.run(
        [sys.executable, "-c", SIZES, site(venv)], check=True, capture_output=True, text=True
    )
    found: dict[str, float] = json.loads(result.stdout)
    return {name: round(mib, 1) for name, mib in sorted(found.items(), key=lambda row: -row[1])}


def wall_ms(venv: Path, program: str) -> float:
    """Time of a fresh process, from its start to its end."""
    start = time.perf_counter()
    subprocess.run([venv / "bin" / "python", "-c", program], check=True)
    return 1000 * (time.perf_counter() - start)


def measure(folder: Path) -> dict[str, Any]:
    """Install twice, weigh and time."""
    full, lean = folder / "full", folder / "lean"
    install(full, ["."])
    install(lean, ["--no-deps", ".", *LEAN])
    for venv in (full, lean):
        wall_ms(venv, PROGRAMS["first vector"])
    rounds = [
        {name: wall_ms(full, program) for name, program in PROGRAMS.items()} for _ in range(ROUNDS)
    ]

    def median(figures: Sequence[float], digits: int = 0) -> float:
        return round(statistics.median(figures), digits)

    return {
        "commit": commit(ROOT),
        "python": sys.version.split()[0],
        "full_mib": folder_mib(full / "lib"),
        "lean_mib": folder_mib(lean / "lib"),
        "packages_mib": sizes(full),
        "lean_packages": list(sizes(lean)),
        "imports_ms": median([row["imports"] for row in rounds]),
        "import_ms": median([row["package"] - row["imports"] for row in rounds]),
        "first_vector_ms": median([row["first vector"] for row in rounds]),
        "first_vector_ratio": median([row["first vector"] / row["imports"] for row in rounds], 2),
        "rounds_ms": [{name: round(ms, 1) for name, ms in row.items()} for row in rounds],
    }


def check(found: dict[str, Any], published: dict[str, Any]) -> None:
    """Raise InputError where a limit is passed."""
    limits = {
        "import_ms": MOST_IMPORT_MS,
        "first_vector_ratio": MOST_FIRST_VECTOR * published["first_vector_ratio"],
    }
    for name, most in limits.items():
        if found[name] > most:
            raise InputError(f"{name}: expected at most {most:g}, got {found[name]:g}")


def tables(found: dict[str, Any]) -> str:
    """Give the figures in words and as a table."""
    rows = [
        f"| {name} | {mib:.1f} | {'yes' if name in found['lean_packages'] else 'no'} |"
        for name, mib in found["packages_mib"].items()
    ]
    return "\n".join(
        [
            f"The installation takes {found['full_mib']:.0f} MiB on disk, and the lean one "
            f"{found['lean_mib']:.0f} MiB. `import minilm_onnx` takes {found['import_ms']:.0f} ms "
            "in addition to numpy and onnxruntime. A process that computes one vector takes "
            f"{found['first_vector_ms']:.0f} ms from start to end, "
            f"{found['first_vector_ratio']:.2f} times as long as a process that only imports "
            f"numpy and onnxruntime. (Medians of {len(found['rounds_ms'])} processes, Python "
            f"{found['python']}.)",
            "",
            "| package | MiB | needed |",
            "| --- | ---: | --- |",
            *rows,
        ]
    )


def main(arguments: Sequence[str]) -> int:
    """Measure; print, publish or check."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.footprint", description=__doc__)
    parser.add_argument("--out", type=Path, help="write the figures here, as JSON")
    parser.add_argument("--publish", action="store_true", help="fill docs/edge.md too")
    parser.add_argument("--check", type=Path, metavar="FILE", help="refuse what is much worse")
    options = parser.parse_args(arguments)
    published = json.loads(options.check.read_text("utf-8")) if options.check else None
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder))
    print(tables(found))
    if options.out:
        options.out.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    if options.publish:
        fill_page(DOCUMENT, {"footprint": tables(found)})
    if published:
        check(found, published)
    return 0


if __name__ == "__main__":
    sys.exit(report_errors(main, sys.argv[1:]))
