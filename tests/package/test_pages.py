"""README.md, docs/ and the like: no link is dead, every page is found, none is stale."""

import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from tests.support.documents import ROOT

pytestmark = pytest.mark.skipif(
    not all((ROOT / name).exists() for name in ("docs", "minilm_onnx")), reason="not a checkout"
)
NAMES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")
PAGES = [*(ROOT / name for name in NAMES), *sorted((ROOT / "docs").glob("*.md"))]
INDEX = ROOT / "docs" / "README.md"
FROM_AN_INDEX = re.compile(r"\binstall (?:-\S+ )*['\"]?minilm[-_]onnx\b")
# Of what pip is given, and of the functions that say what to give it.
EXTRA = re.compile(
    r"""\.\[([\w{},-]+)\]' | (?:installing|needing)\(['"]([\w-]+) | importing\([^)]*"([\w-]+)"\)""",
    re.VERBOSE,
)


def read(page: Path) -> tuple[list[str], set[str]]:
    """The links of a page, images included, and the anchors that others may name."""
    markdown = pytest.importorskip("markdown_it", reason="markdown-it-py is not installed")
    tokens = markdown.MarkdownIt("commonmark").enable("table").parse(page.read_text("utf-8"))
    inline = [child for token in tokens for child in token.children or ()]
    links = [child.attrGet("href") or child.attrGet("src") for child in inline]
    texts = [
        "".join(child.content for child in tokens[place + 1].children)
        for place, token in enumerate(tokens)
        if token.type == "heading_open"
    ]
    return [str(link) for link in links if link], set(anchors(texts))


def anchors(headings: list[str]) -> Iterator[str]:
    """What GitHub calls headings; one that comes again gets a number."""
    seen: Counter[str] = Counter()
    for heading in headings:
        name = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        yield f"{name}-{seen[name]}" if seen[name] else name
        seen[name] += 1


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Those to other sites are not fetched."""
    links, _ = read(page)
    dead = []
    for link in links:
        if re.match(r"[a-z][a-z+.-]*:", link):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if not target.exists() or (anchor and anchor not in read(target)[1]):
            dead.append(link)
    assert not dead, f"expected links of {page.name} to exist, got {dead}"


def test_links_are_found_at_all() -> None:
    found = {page.name: read(page) for page in PAGES}
    assert sum(len(links) for links, _ in found.values()) > 90
    assert "ray" in found["cluster.md"][1]
    assert list(anchors(["`a.b`, C & d", "x y", "X y"])) == ["ab-c--d", "x-y", "x-y-1"]


def test_every_page_is_reached_from_the_index() -> None:
    linked = {(INDEX.parent / link).resolve() for link in read(INDEX)[0]}
    assert set(PAGES) - linked == {INDEX, ROOT / "README.md"}
    assert "docs/README.md" in read(ROOT / "README.md")[0]


@pytest.mark.parametrize(
    "generator",
    [
        *(f"tests.support.{name}" for name in ("badges", "commands", "reference", "rooms")),
        "benchmarks.machines",
    ],
)
def test_generated_pages_are_what_their_generator_writes(generator: str) -> None:
    if generator.endswith("reference"):
        pytest.importorskip("griffe", reason="griffe is not installed")
    module = import_module(generator)
    assert module.DOCUMENT.read_text("utf-8") == module.render(), "stale: run just generate"


def test_what_is_said_to_be_installed_can_be() -> None:
    """From a clone, since no package index has this package yet, and only extras that there are."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = set(project["optional-dependencies"])
    code = [path for room in ("minilm_onnx", "examples") for path in (ROOT / room).rglob("*.py")]
    named = set()
    for path in [*PAGES, *code]:
        text = " ".join(path.read_text("utf-8").split())
        assert not FROM_AN_INDEX.findall(text), path
        for found in EXTRA.findall(text):
            named |= set("".join(found).split(","))
    assert named <= extras | {"{extra}", "NAME"}
    assert len(named) > 10
