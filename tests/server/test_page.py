"""The page for a browser."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minilm_onnx import SentenceEncoder

pytest.importorskip("starlette", reason="minilm-onnx[server] is not installed")
pytest.importorskip("uvicorn", reason="minilm-onnx[server] is not installed")
pytest.importorskip("httpx", reason="httpx is not installed")


def test_the_page_needs_nothing_from_elsewhere(client: Any) -> None:
    answer = client.get("/ui")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "http" not in answer.text.replace("http-equiv", "")
    for mark in ("<label for=", "aria-live", "prefers-color-scheme", 'lang="en"'):
        assert mark in answer.text


def test_a_browser_gets_the_page_where_programs_are_told_that_it_runs(client: Any) -> None:
    browser = {"accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
    answer = client.get("/", headers=browser)
    assert answer.content == client.get("/ui").content
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    for headers in ({}, {"accept": "*/*"}, {"accept": "application/json"}):
        answer = client.get("/", headers=headers)
        assert answer.text == "Ollama is running"
        assert answer.headers["vary"] == "accept"  # for caches
    assert client.head("/", headers=browser).status_code == 200


CHROMIUM = (
    *("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"),
    *("--no-first-run", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--virtual-time-budget=20000", "--dump-dom"),
)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")
@pytest.mark.parametrize("path", ["/ui", "/"])
def test_the_page_works_in_a_browser(
    url: str, path: str, tmp_path: Path, encoder: SentenceEncoder
) -> None:
    """It starts with texts of its own."""
    command = [*CHROMIUM, f"--user-data-dir={tmp_path}", f"{url}{path}"]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    page = result.stdout
    texts = re.findall(r'<td class="text">(.*?)</td>', page)
    assert texts[:4] == [
        *("How do I reset my password?", "I forgot my login details"),
        *("Where is my parcel?", "The delivery has not arrived"),
    ]
    assert texts[4] == "Refunds are paid within ten days."
    vectors = encoder.encode(texts[:4])
    shown = [float(value) for value in re.findall(r'<td class="share[^>]*>(-?\d\.\d\d)</td>', page)]
    np.testing.assert_allclose(shown[:16], (vectors @ vectors.T).ravel(), atol=0.0051)
    assert "sentence-transformers/all-MiniLM-L6-v2, int8, 256 tokens" in page
    assert page.count('role="alert" id="alike-error"></div>') == 1


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")
@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")
def test_the_page_is_used_by_keyboard_alone(url: str, encoder: SentenceEncoder) -> None:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    options = {"executable_path": shutil.which("chromium"), "args": ["--no-sandbox"]}
    with playwright.sync_playwright() as made, made.chromium.launch(**options) as browser:
        page = browser.new_page()
        said: list[str] = []
        page.on("console", lambda one: said.append(one.text) if one.type == "error" else None)
        page.goto(f"{url}/ui")

        def go_to(selector: str) -> None:
            """Press Tab until it has the focus."""
            for _ in range(12):
                if page.evaluate("(one) => document.activeElement.matches(one)", selector):
                    return
                page.keyboard.press("Tab")
            raise AssertionError(f"{selector} cannot be reached")

        def write(selector: str, text: str) -> None:
            go_to(selector)
            page.keyboard.press("Control+A")
            page.keyboard.press("Delete")
            page.keyboard.type(text)

        write("#sentences", "")
        go_to("#alike button")
        page.keyboard.press("Enter")
        playwright.expect(page.locator("#alike-error")).to_have_text("Write some texts first.")
        page.keyboard.press("Shift+Tab")
        page.keyboard.type("a cat\na dog\nan invoice")
        go_to("#alike button")
        page.keyboard.press("Space")
        playwright.expect(page.locator("#alike-result tbody tr")).to_have_count(3)
        playwright.expect(page.locator("#alike-error")).to_have_text("")
        write("#question", "which animal barks?")
        write("#list", "a bill\na dog")
        go_to("#question")  # Enter in a line sends the form
        page.keyboard.press("Enter")
        first = page.locator("#rank-result tbody tr").first
        playwright.expect(first.locator("td.text")).to_have_text("a dog")
        shown = float(first.locator("td").first.inner_text())
        question, dog = encoder.encode(["which animal barks?", "a dog"])
        assert shown == pytest.approx(float(question @ dog), abs=0.0051)
        # What is long is opened by a key; what no text has, has no column.
        heads = page.locator("#rank-result thead")
        playwright.expect(heads).to_have_text("cosinetexttokens")
        write("#list", "a dog " * 300 + "\na \U0001f680")
        go_to("#question")
        page.keyboard.press("Enter")
        playwright.expect(heads).to_have_text("cosinetexttokenstokens cut offunknown to the model")
        go_to("#rank-result summary")
        summary = page.locator("#rank-result summary")
        closed = summary.bounding_box()
        page.keyboard.press("Enter")
        opened = summary.bounding_box()
        assert closed
        assert opened
        assert opened["height"] > 4 * closed["height"]
        assert said == []
