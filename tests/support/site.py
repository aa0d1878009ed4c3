"""The hook of mkdocs.yml: every page at its path in the repository, and the files they link to."""

import re
from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"\[([^\]]*)\]\(([^)#:\s]+)\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Give every page its path in the repository, so that its links lead where they do there."""
    theme = [file for file in files if file.src_dir != config.docs_dir]
    docs = {Path("docs", file.src_uri) for file in files if file.src_dir == config.docs_dir}
    site = docs | {path.relative_to(ROOT) for path in ROOT.glob("*.md")}
    linked = {target for path in site if path.suffix == ".md" for target in linked_files(path)}
    found = [file_at(path, config) for path in sorted(site | linked)]
    for file in found:
        if Path(file.src_uri) not in site and not file.is_documentation_page():
            file.dest_uri += ".txt"  # a browser shows it, whatever it is called
    return Files([*theme, *found])


def linked_files(page: Path) -> Iterator[Path]:
    """What a page links to, from the root."""
    for _, link in LINK.findall((ROOT / page).read_text("utf-8")):
        target = (ROOT / page.parent / link).resolve()
        if target.is_file():
            yield target.relative_to(ROOT)


def file_at(path: Path, config: MkDocsConfig) -> File:
    """A file of the repository."""
    return File(path.as_posix(), str(ROOT), config.site_dir, config.use_directory_urls)


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Take the link from the names of folders, which the site does not have."""
    folder = (ROOT / page.file.src_uri).parent

    def without_link(match: re.Match[str]) -> str:
        return match[1] if (folder / match[2]).is_dir() else match[0]

    return LINK.sub(without_link, markdown)


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Say which pages are in Chinese."""
    return f'<div lang="zh">{html}</div>' if page.file.name.endswith(".zh") else html
