"""The first answer over stdin and stdout: given before the SDK is imported, and the SDK's."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mcp", reason="minilm-onnx[mcp] is not installed")
pytest.importorskip("apsw", reason="minilm-onnx[search] is not installed")

from minilm_onnx.mcpserver.opening import DISCOVERED, HANDSHAKES, answer
from tests.mcpserver.conftest import COMMAND, FIRST, INITIALIZED

CLIENT = FIRST["params"]["clientInfo"]
META = "io.modelcontextprotocol/"
ENVELOPE = {
    f"{META}protocolVersion": DISCOVERED,
    f"{META}clientInfo": CLIENT,
    f"{META}clientCapabilities": {"roots": {}},
}
DISCOVER = {
    "jsonrpc": "2.0",
    "id": "a",
    "method": "server/discover",
    "params": {"_meta": ENVELOPE},
}


def said(db: Path, *messages: Any) -> list[dict[str, Any]]:
    """What the program answers to these, until the client leaves."""
    done = subprocess.run(
        [*COMMAND, "--db", str(db)],
        input="".join(json.dumps(one) + "\n" for one in messages),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return [json.loads(line) for line in done.stdout.splitlines()]


def asked(params: Any, **others: Any) -> dict[str, Any]:
    return {**FIRST, "params": {**FIRST["params"], **params}, **others}


@pytest.mark.parametrize("first", [FIRST, DISCOVER], ids=["initialize", "discover"])
def test_the_first_answer_is_the_sdks(db: Path, first: dict[str, Any]) -> None:
    """What begins with a notification is left to the SDK."""
    assert said(db, INITIALIZED, first) == [answer(json.dumps(first).encode())]


def test_every_request_has_one_answer(db: Path) -> None:
    ping = {"jsonrpc": "2.0", "id": 2, "method": "ping"}
    for first in (FIRST, asked({"protocolVersion": "1999-01-01"})):
        answers = said(db, first, INITIALIZED, ping)
        assert [one["id"] for one in answers] == [1, 2]
        assert answers[0]["result"]["protocolVersion"] == HANDSHAKES[-1]
    again = {**DISCOVER, "id": "b"}
    assert [one["id"] for one in said(db, DISCOVER, again)] == ["a", "b"]


def test_the_sdk_knows_the_same_versions() -> None:
    from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, MODERN_PROTOCOL_VERSIONS

    assert HANDSHAKES == HANDSHAKE_PROTOCOL_VERSIONS
    assert (DISCOVERED,) == MODERN_PROTOCOL_VERSIONS
    for version in HANDSHAKES:
        given = answer(json.dumps(asked({"protocolVersion": version})).encode())
        assert given
        assert given["result"]["protocolVersion"] == version


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"\xff\n",
        b"[" * 100_000,
        b"[]",
        json.dumps(INITIALIZED).encode(),
        *(
            json.dumps(one).encode()
            for one in (
                asked({}, id=True),
                asked({}, id=None),
                asked({}, jsonrpc="1.0"),
                asked({}, method="ping"),
                asked({"protocolVersion": DISCOVERED}),
                asked({"clientInfo": {"name": "a test"}}),
                asked({"capabilities": None}),
                {**DISCOVER, "id": True},
                {**DISCOVER, "params": {}},
                {**DISCOVER, "params": {"_meta": {**ENVELOPE, f"{META}clientInfo": None}}},
                {**DISCOVER, "params": {"_meta": {**ENVELOPE, f"{META}protocolVersion": "2027"}}},
            )
        ),
    ],
)
def test_what_is_not_foreseen_is_left_to_the_sdk(line: bytes) -> None:
    assert answer(line) is None


def test_the_first_answer_comes_before_the_sdk_and_the_model_are_loaded(db: Path) -> None:
    """Which takes most of a start."""
    code = (
        "import sys\n"
        "from minilm_onnx.cli import mcp, main\n"
        "def make(*_):\n"
        "    print({'mcp', 'mcp_types', 'pydantic'} & set(sys.modules), file=sys.stderr)\n"
        "    raise SystemExit(3)\n"
        "mcp._server = make\n"
        f"main(['mcp', '--db', {str(db)!r}])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=json.dumps(FIRST) + "\n",
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (done.returncode, done.stderr) == (3, "set()\n")
    assert json.loads(done.stdout)["id"] == 1
