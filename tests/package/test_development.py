"""What developers run: the justfile, the hooks of pre-commit, and the pins of `.[dev]`."""

import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterable

import pytest

from tests.support.documents import ROOT

pytestmark = pytest.mark.skipif(not (ROOT / ".ci").exists(), reason="not a checkout")
PIN = re.compile(r"([\w.-]+)(?:\[[\w,-]+\])?==(\S+)")


def pins(lines: Iterable[str]) -> dict[str, str]:
    """The version of each package that is pinned."""
    found = (PIN.fullmatch(line.strip()) for line in lines)
    return {match[1]: match[2] for match in found if match}


def test_tools_have_one_version_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    ours = pins(project["optional-dependencies"]["dev"])
    assert {"mypy", "ruff"} <= set(ours)
    for path in (".ci/requirements.txt", "export/requirements.txt"):
        theirs = pins((ROOT / path).read_text("utf-8").splitlines())
        assert {name: theirs.get(name, ours[name]) for name in ours} == ours, path


def test_each_commit_is_checked_as_by_just_check() -> None:
    recipes = re.search(r"^check: (.*)$", (ROOT / "justfile").read_text("utf-8"), re.MULTILINE)
    hooks = re.findall(r"entry: just (\w+)", (ROOT / ".pre-commit-config.yaml").read_text("utf-8"))
    assert recipes
    assert recipes[1].split() == hooks


@pytest.mark.skipif(shutil.which("just") is None, reason="just is not installed")
def test_just_lists_what_contributing_names() -> None:
    done = subprocess.run(
        ["just", "--summary", "--unsorted"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    page = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    parts = {"default", "lint", "types", "pages"}
    named = dict.fromkeys(re.findall(r"^\| `just (\w+)`", page, re.MULTILINE))
    assert [name for name in done.stdout.split() if name not in parts] == list(named)
