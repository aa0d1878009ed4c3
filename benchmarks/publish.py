"""Write a run into the project: README, docs, plots, and what `minilm-onnx bench` compares with."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.report import Line, compared_with, fastest, latest, report, summary, why
from minilm_onnx import InputError
from minilm_onnx.cli.bench import PUBLISHED

# The name of the corpus that the project makes up.
OWN = "sample"


def publish(every: Sequence[Line], root: Path) -> None:
    """Write every generated part.

    Args:
        every: lines of a run over the project's own corpus, and of others over real texts.
        root: the project's folder.

    Raises:
        InputError: a run is a quick one, or the first kind is not of one commit.
    """
    from benchmarks.plots import draw_all

    for path, content in documents(every, root).items():
        write_whole(path, content)
    draw_all(latest([line for line in every if line["corpus"] == OWN]), root / "docs")


def documents(every: Sequence[Line], root: Path) -> dict[Path, str]:
    """Give the text of every generated document; see `publish`.

    Raises:
        InputError: see `publish`.
    """
    if any(line["quick"] for line in every):
        raise InputError("results: expected full runs, got a quick one; run without --quick")
    lines = [line for line in every if line["corpus"] == OWN]
    real = [line for line in every if line["corpus"] != OWN]
    if not lines:
        raise InputError(f"results: expected a run of the corpus {OWN!r}; run without --corpus")
    commits = {line["commit"] for line in lines}
    if len(commits) != 1:
        raise InputError(f"results: expected one commit, got {', '.join(sorted(commits))}")
    readme, speed = root / "README.md", root / "docs" / "speed.md"
    tables = filled(speed.read_text("utf-8"), "tables", report(lines))
    if real:
        tables = filled(tables, "real text", report(real))
    cpu, threads = lines[0]["cpu"], lines[0]["threads"]
    said = (
        f"{cpu}, {threads} threads, every engine at its best setting; cosine to "
        "sentence-transformers in fp32:"
    )
    front = filled(readme.read_text("utf-8"), "why", why(lines))
    return {
        readme: filled(front, "benchmark", f"{said}\n\n{summary(lines)}"),
        speed: tables,
        PUBLISHED: comparison(lines),
    }


def comparison(lines: Sequence[Line]) -> str:
    """Give what `minilm-onnx bench` shows beside its own figures."""
    lines = latest(lines)
    facts = {
        "cpu": lines[0]["cpu"],
        "threads": lines[0]["threads"],
        "commit": lines[0]["commit"],
        "tokens_per_second": {name: round(fastest(lines, name)) for name in compared_with(lines)},
    }
    return json.dumps(facts, indent=2) + "\n"


def write_whole(path: Path, content: str) -> None:
    """Write a document, or leave it as it was."""
    part = path.with_name(path.name + ".part")
    part.write_text(content, "utf-8")
    part.rename(path)


def fill_page(path: Path, contents: Mapping[str, str]) -> None:
    """Write contents into a document, each between its marker and the next end.

    Raises:
        InputError: see `filled`.
    """
    text = path.read_text("utf-8")
    for marker, content in contents.items():
        text = filled(text, marker, content)
    write_whole(path, text)


def filled(text: str, marker: str, content: str) -> str:
    """Give a document with another content between a marker and the next end.

    Raises:
        InputError: the document has no such marker.
    """
    pattern = re.compile(f"(<!-- {marker} -->\n).*?(<!-- end -->)", re.DOTALL)
    if not pattern.search(text):
        raise InputError(f"document: expected a part between <!-- {marker} --> and <!-- end -->")
    return pattern.sub(lambda found: f"{found[1]}\n{content}\n\n{found[2]}", text, count=1)
