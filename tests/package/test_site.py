"""The docs site, as mkdocs.yml has it: built strictly, and its pages read."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.support.documents import ROOT

pytestmark = pytest.mark.skipif(not (ROOT / "mkdocs.yml").exists(), reason="not a checkout")
# What a page consists of, in its order; paragraphs differ in what surrounds them.
PARTS = {"h1", "h2", "h3", "h4", "ul", "ol", "li", "pre", "table", "tr", "th", "td", "img"}


@dataclass
class Shown(HTMLParser):
    """What a browser makes of a page.

    Attributes:
        links: addresses that it leads to.
        loaded: addresses of what it shows and runs.
        anchors: places that others may name.
        parts: of its article: tags, and the words between them.
    """

    links: list[str] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)
    parts: list[str] = field(default_factory=list)
    _inside: bool = False
    _hidden: bool = False

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        at = {name: value for name, value in attrs if value}
        self.anchors |= {at[name] for name in ("id", "name") if name in at}
        self._inside |= tag == "article"
        self._hidden |= at.get("class") == "headerlink"
        if tag in PARTS and self._inside:
            self.parts.append(f"<{tag}>")
        if tag == "a" and "href" in at:
            self.links.append(at["href"])
        elif tag == "link" and at.get("rel") not in {"canonical", "next", "prev"}:
            self.loaded.append(at["href"])
        self.loaded += [at[name] for name in ("src", "poster", "data") if name in at]
        self.loaded += [one.split()[0] for one in at.get("srcset", "").split(",") if one]

    def handle_endtag(self, tag: str) -> None:
        self._inside &= tag != "article"
        self._hidden &= tag != "a"

    def handle_data(self, data: str) -> None:
        if self._inside and not self._hidden:
            self.parts += data.split()

    @property
    def article(self) -> list[str]:
        """Each tag with the words that follow, without blanks, which highlighting moves."""
        return "".join(self.parts).split("<")


def show(html: str) -> Shown:
    shown = Shown()
    shown.feed(html)
    return shown


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A strict build ends with an error for a dead link, a dead anchor, and a page in no menu."""
    pytest.importorskip("material", reason="mkdocs-material is not installed")
    folder = tmp_path_factory.mktemp("site")
    # Not --quiet, with which nothing is strict (findings/mkdocs-quiet-is-not-strict.sh).
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}  # of the theme, about its successor
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Shown]:
    """Every page of the site."""
    return {path: show(path.read_text("utf-8")) for path in site.rglob("*.html")}


def test_the_front_page_is_the_readme(pages: dict[Path, Shown], site: Path) -> None:
    assert pages[site / "index.html"].article[1].startswith("h1>minilm-onnx")
    assert len(pages) > 25


def test_pages_show_what_a_code_host_shows(pages: dict[Path, Shown], site: Path) -> None:
    """So a list is a list in both, and a comment is shown in neither."""
    markdown = pytest.importorskip("markdown_it", reason="markdown-it-py is not installed")
    commonmark = markdown.MarkdownIt("commonmark").enable("table")
    for page, shown in pages.items():
        if page.name == "404.html":
            continue
        name = page.relative_to(site).with_suffix(".md")
        source = ROOT / (name.with_stem("README") if name.stem == "index" else name)
        html = commonmark.render(source.read_text("utf-8"))
        assert shown.article == show(f"<article>{html}</article>").article, name


def test_links_and_pictures_are_in_the_site(pages: dict[Path, Shown]) -> None:
    """Also those that are written in HTML, which mkdocs does not look at."""
    dead = [
        f"{page}: {link}"
        for page, shown in pages.items()
        if page.name != "404.html"  # its links are for the root of a server
        for link in (*shown.links, *shown.loaded)
        for target, anchor in here(page, link)
        if not target.is_file()
        or (anchor and target.suffix == ".html" and anchor not in pages[target].anchors)
    ]
    assert dead == []


def here(page: Path, link: str) -> Iterator[tuple[Path, str]]:
    """The file and the anchor that a link leads to, if it is no other site's."""
    parts = urlsplit(link)
    if not parts.scheme and not parts.netloc:
        path = unquote(parts.path)
        target = (page.parent / path).resolve() if path else page
        yield target / "index.html" if target.is_dir() else target, unquote(parts.fragment)


def test_nothing_is_loaded_from_another_host(pages: dict[Path, Shown], site: Path) -> None:
    loaded = {address for shown in pages.values() for address in shown.loaded}
    assert len(loaded) > 10
    assert [address for address in loaded if urlsplit(address).netloc] == []
    sheets = [path.read_text("utf-8") for path in site.rglob("*.css")]
    assert len(sheets) == 3
    for sheet in sheets:
        assert "@import" not in sheet
        assert "url(http" not in sheet
        assert "url(//" not in sheet
