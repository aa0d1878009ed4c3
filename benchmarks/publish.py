"""Write a run into the project: README, docs, plots, and what `minilm-onnx bench` compares with."""

import json
import re
from collections.abc import Sequence
from pathlib import Path

from benchmarks.report import Line, by_speed, fastest, latest, report, summary
from minilm_onnx import InputError
from minilm_onnx.cli.bench import PUBLISHED


def publish(lines: Sequence[Line], root: Path) -> None:
    """Write every generated part.

    Raises:
        InputError: the run is not one of the project's own corpus, of one commit.
    """
    from benchmarks.plots import draw_all

    for path, content in documents(lines, root).items():
        part = path.with_name(path.name + ".part")
        part.write_text(content, "utf-8")
        part.rename(path)
    draw_all(latest(lines), root / "docs")


def documents(lines: Sequence[Line], root: Path) -> dict[Path, str]:
    """Give the text of every generated document.

    Raises:
        InputError: see publish.
    """
    for key, wanted in (("corpus", "sample"), ("quick", False)):
        if {line.get(key) for line in lines} != {wanted}:
            raise InputError(f"results: expected {key} {wanted} in every line; run without --{key}")
    commits = {line["commit"] for line in lines}
    if len(commits) != 1:
        raise InputError(f"results: expected one commit, got {', '.join(sorted(commits))}")
    readme, speed = root / "README.md", root / "docs" / "speed.md"
    cpu, threads = lines[0]["cpu"], lines[0]["threads"]
    said = f"On {cpu}, {threads} threads, every engine at its best setting:"
    return {
        readme: filled(readme, "benchmark", f"{said}\n\n{summary(lines)}"),
        speed: filled(speed, "tables", report(lines)),
        PUBLISHED: comparison(lines),
    }


def comparison(lines: Sequence[Line]) -> str:
    """Give what `minilm-onnx bench` shows beside its own figures."""
    lines = latest(lines)
    facts = {
        "cpu": lines[0]["cpu"],
        "threads": lines[0]["threads"],
        "commit": lines[0]["commit"],
        "tokens_per_second": {name: round(fastest(lines, name)) for name in by_speed(lines)},
    }
    return json.dumps(facts, indent=2) + "\n"


def filled(path: Path, marker: str, content: str) -> str:
    """Give a document with another content between a marker and the next end.

    Raises:
        InputError: the document has no such marker.
    """
    text = path.read_text("utf-8")
    pattern = re.compile(f"(<!-- {marker} -->\n).*?(<!-- end -->)", re.DOTALL)
    if not pattern.search(text):
        raise InputError(f"{path}: expected a part between <!-- {marker} --> and <!-- end -->")
    return pattern.sub(lambda found: f"{found[1]}\n{content}\n\n{found[2]}", text, count=1)
