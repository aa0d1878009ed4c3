"""The pages of docs/: what they show runs, and prints what they say."""

import contextlib
import io
import re
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).parent.parent / "docs"
BLOCK = re.compile(r"```python\n(.*?)```\n(?:\n```text\n(.*?)```\n)?", re.DOTALL)
NUMBER = re.compile(r"-?\d+\.\d+")
# Of a score: machines differ in the third decimal.
TOLERANCE = 0.02

pytestmark = pytest.mark.skipif(not DOCS.exists(), reason="not a checkout")


def blocks(page: str) -> list[tuple[str, str]]:
    return BLOCK.findall((DOCS / page).read_text("utf-8"))


def test_the_tour_prints_what_it_says() -> None:
    for package in ("starlette", "orjson", "prometheus_client", "httpx", "apsw", "sqlite_vec"):
        pytest.importorskip(package, reason=f"{package} is not installed")
    namespace: dict[str, Any] = {}
    for code, expected in blocks("tour.md"):
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            exec(code, namespace)  # the project's own page
        found = said.getvalue()
        assert NUMBER.sub("#", found) == NUMBER.sub("#", expected)
        scores = [[float(one) for one in NUMBER.findall(text)] for text in (found, expected)]
        assert scores[0] == pytest.approx(scores[1], abs=TOLERANCE)


def test_the_tour_in_chinese_shows_the_same() -> None:
    assert len(blocks("tour.md")) == 8
    assert blocks("tour.zh.md") == blocks("tour.md")


def test_the_reference_is_that_of_the_docstrings() -> None:
    pytest.importorskip("griffe", reason="griffe is not installed")
    from tests.reference import DOCUMENT, render

    assert DOCUMENT.read_text("utf-8") == render()


def test_links_lead_somewhere() -> None:
    root = DOCS.parent
    pages = [*root.glob("*.md"), *DOCS.glob("*.md")]
    assert len(pages) > 10
    for page in pages:
        for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
            if "://" not in link:
                assert (page.parent / link).exists(), f"{page.name}: {link}"
