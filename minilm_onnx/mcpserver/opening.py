"""The first answer over stdin and stdout, given before the SDK is imported.

Importing it takes longer than all else that a start needs, and programs show a server as connected
once it has answered their first request. That request goes to the SDK as well, whose answer to it
is then left out; a test holds the two to be the same.
"""

import json
from dataclasses import dataclass
from typing import Any, BinaryIO

from minilm_onnx import __version__

INSTRUCTIONS = """\
Passages of the user's own files, found by meaning, on the user's own machine. Ask search in the
words of the question; hybrid=true helps where names, codes or numbers must match. Cite a passage by
its source and lines. The notes of an answer say what was truncated or is unknown to the model."""
# Versions of the protocol whose clients begin with initialize.
HANDSHAKES = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
# The one whose clients begin with server/discover, and put this before names in _meta.
DISCOVERED = "2026-07-28"
META = "io.modelcontextprotocol/"
INFO = {"name": "minilm-onnx", "version": __version__}
CHANGES = {"listChanged": False}
CAPABILITIES = {"tools": CHANGES, "prompts": CHANGES, "resources": {**CHANGES, "subscribe": False}}


@dataclass(frozen=True)
class Opening:
    """How a connection began.

    Attributes:
        line: the first one that came; empty where the client left.
        answered: the id of the request that was answered; None if it was not.
    """

    line: bytes
    answered: int | str | None


def open_connection(reading: BinaryIO, writing: BinaryIO) -> Opening:
    """Wait for the first line, and answer it if it is one that can be answered already."""
    line = reading.readline()
    found = answer(line)
    if found is None:
        return Opening(line, None)
    writing.write(json.dumps(found).encode() + b"\n")
    writing.flush()
    return Opening(line, found["id"])


def answer(line: bytes) -> dict[str, Any] | None:
    """Answer a first request as the SDK would; None for what is left to the SDK."""
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return None
    result: dict[str, Any]
    match message:
        case {
            "jsonrpc": "2.0",
            "id": int() | str() as number,
            "method": "initialize",
            "params": {
                "protocolVersion": str() as version,
                "capabilities": dict(),
                "clientInfo": {"name": str(), "version": str()},
            },
        } if version in HANDSHAKES and not isinstance(number, bool):
            result = {
                "protocolVersion": version,
                "serverInfo": INFO,
                "capabilities": CAPABILITIES,
            }
        case {
            "jsonrpc": "2.0",
            "id": int() | str() as number,
            "method": "server/discover",
            "params": {"_meta": dict() as meta},
        } if _is_envelope(meta) and not isinstance(number, bool):
            result = {
                "resultType": "complete",
                "supportedVersions": [DISCOVERED],
                "capabilities": CAPABILITIES,
                "cacheScope": "private",
                "ttlMs": 0,
                "_meta": {f"{META}serverInfo": INFO},
            }
        case _:
            return None
    return {
        "jsonrpc": "2.0",
        "id": number,
        "result": {**result, "instructions": INSTRUCTIONS},
    }


def _is_envelope(meta: dict[str, Any]) -> bool:
    """Say whether this is what each request of the newest protocol has."""
    names = ("protocolVersion", "clientInfo", "clientCapabilities")
    match [meta.get(META + name) for name in names]:
        case [version, {"name": str(), "version": str()}, dict()]:
            return bool(version == DISCOVERED)
    return False
