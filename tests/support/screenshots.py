"""docs/page.png and docs/heatmap.svg: python -m tests.support.screenshots makes them.

The server's page is looked at in Chromium, light and dark; that needs Debian's chromium, and
playwright and pillow of PyPI.
"""

import io
import shutil
from pathlib import Path

import numpy as np
from playwright.sync_api import sync_playwright

from minilm_onnx import SentenceEncoder
from minilm_onnx.cli.heatmap import draw
from tests.support.servers import free_port, start, stop

DOCS = Path(__file__).parents[2] / "docs"
WIDTH, HEIGHT = 560, 710
# All that the page has: shades of two colours.
COLOURS = 128
# In groups of three, but for one, and not in their order.
TEXTS = (
    "How do I reset my password?",
    "Where is my parcel?",
    "The soup needs more salt",
    "I forgot my login details",
    "The delivery has not arrived",
    "Add pepper and taste again",
    "Can I change my PIN?",
    "My package is late",
    "Boil the pasta for nine minutes",
    "What is the capital of France?",
)


def page(url: str) -> bytes:
    """Give a picture of the page, light at the left and dark at the right, as PNG."""
    from PIL import Image

    both = Image.new("RGB", (2 * WIDTH, HEIGHT))
    chromium = {"executable_path": shutil.which("chromium"), "args": ["--no-sandbox"]}
    with sync_playwright() as made, made.chromium.launch(**chromium) as browser:
        for place, mode in ((0, "light"), (WIDTH, "dark")):
            size = {"width": WIDTH, "height": HEIGHT}
            one = browser.new_page(viewport=size, color_scheme=mode)
            one.goto(url)
            one.wait_for_selector("#alike-result table")
            one.wait_for_selector("#rank-result table")
            both.paste(Image.open(io.BytesIO(one.screenshot())), (place, 0))
    file = io.BytesIO()
    both.quantize(COLOURS).save(file, "PNG", optimize=True)
    return file.getvalue()


def heat_map() -> bytes:
    """Give the heat map of TEXTS, as SVG."""
    vectors = SentenceEncoder().encode(TEXTS)
    file = io.BytesIO()
    draw(file, ".svg", TEXTS, np.asarray(vectors @ vectors.T))
    return file.getvalue()


def main() -> None:
    """Make both pictures."""
    port = free_port()
    where = f"http://127.0.0.1:{port}"
    process = start("--port", str(port), where=where)
    try:
        (DOCS / "page.png").write_bytes(page(f"{where}/ui"))
    finally:
        stop(process)
    (DOCS / "heatmap.svg").write_bytes(heat_map())


if __name__ == "__main__":
    main()
