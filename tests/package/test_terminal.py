"""The recording of a terminal in the README."""

import re
from pathlib import Path

import pytest

from minilm_onnx.engine.native import native

pytest.importorskip("pty", reason="this system has no pseudo-terminals")
pytest.importorskip("rich", reason="rich is not installed")
pytest.importorskip("tqdm", reason="tqdm is not installed")
pytest.importorskip("apsw", reason="minilm-onnx[search] is not installed")

from tests.support import terminal


def still(svg: str) -> str:
    """Leave out when a line appears, which differs each time."""
    return re.sub(r"animation-delay:[0-9.]+s", "", svg)


@pytest.mark.skipif(native() is None, reason="no native library: scores may differ in a digit")
def test_the_recording_is_what_the_commands_write_today(tmp_path: Path) -> None:
    lines = terminal.session(tmp_path)
    assert still(terminal.draw(lines)) == still(terminal.PICTURE.read_text("utf-8")), (
        f"{terminal.PICTURE.name} is stale: python -m tests.support.terminal"
    )


def test_the_recording_loads_nothing_and_moves_for_those_alone_who_want_it() -> None:
    svg = terminal.PICTURE.read_text("utf-8")
    assert set(re.findall(r"https?://[^\s\"]+", svg)) <= {
        "http://www.w3.org/2000/svg",
        "https://www.textualize.io",  # a comment that says what drew it
    }
    head, motion = svg.split("@media screen and (prefers-reduced-motion:no-preference)", 1)
    assert "animation" not in head
    assert "animation" not in motion.split("</style>")[1]
