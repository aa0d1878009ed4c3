"""docs/mcp.md: the session and the configuration do what the page says."""

import json
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mcp", reason="minilm-onnx[mcp] is not installed")
pytest.importorskip("apsw", reason="minilm-onnx[search] is not installed")

from minilm_onnx.cli import build_parser
from tests.conftest import documented
from tests.support.documents import NUMBER, ROOT, TOLERANCE, blocks, furnish, lines

PAGE = "docs/mcp.md"

pytestmark = pytest.mark.skipif(not (ROOT / PAGE).exists(), reason="not a checkout")


def test_the_session_prints_what_the_page_says(tmp_path: Path) -> None:
    environment = furnish(tmp_path)
    (tmp_path / "ask.py").write_text(documented("mcp.md", "mcp"), "utf-8")
    (session,) = (block for block in blocks(PAGE) if block.mark == "session mcp")
    printed = ""
    for line in lines(session):
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        printed += done.stdout
    assert NUMBER.sub("#", printed) == NUMBER.sub("#", session.said)
    scores, expected = (
        [float(n) for n in NUMBER.findall(text)] for text in (printed, session.said)
    )
    assert scores == pytest.approx(expected, abs=TOLERANCE)


def servers() -> list[dict[str, Any]]:
    """The server in each configuration of the page."""
    found = []
    for block in blocks(PAGE):
        if block.language in ("json", "toml"):
            read = json.loads if block.language == "json" else tomllib.loads
            (named,) = read(block.code).values()
            found += named.values()
    return found


def test_configurations_start_a_command_that_exists() -> None:
    started = [one for one in servers() if "command" in one]
    assert len(started) == 4
    for one in started:
        assert set(one) - {"type"} == {"command", "args"}
        assert Path(one["command"]).name == "minilm-onnx"
        assert build_parser().parse_args(one["args"]).command == "mcp"
    commands = [
        block.code.strip().partition(" -- ")[2]
        for block in blocks(PAGE)
        if block.code.startswith("claude mcp add") and " -- " in block.code
    ]
    for command in commands:
        assert build_parser().parse_args(command.split()[1:]).command == "mcp"
    assert len(commands) == 1


def test_configurations_of_http_have_the_default_address() -> None:
    from minilm_onnx.cli.mcp import HOST, PATH, PORT

    (one,) = (one for one in servers() if "url" in one)
    assert one["url"] == f"http://{HOST}:{PORT}{PATH}"
