"""An index of some notes, and a client of its server."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from minilm_onnx import SentenceEncoder
from minilm_onnx.index.indexing import index_paths
from minilm_onnx.index.textindex import TextIndex

T = TypeVar("T")
RETURNS = "Send it back within ten days and the amount is paid out to the card you used."
HOURS = "We are open from eight in the morning to six in the evening."
REFUND = "A refund takes three working days."
COMMAND = [sys.executable, "-m", "minilm_onnx", "mcp"]
FIRST: dict[str, Any] = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "a test", "version": "1"},
    },
}
INITIALIZED = {"jsonrpc": "2.0", "method": "notifications/initialized"}
Ask = Callable[[Callable[[Any], Awaitable[T]]], T]


def connected(server: Any, call: Callable[[Any], Awaitable[T]]) -> T:
    """Call something with the SDK's client of a server: an object, an address, or a command."""
    from mcp import Client

    async def asked() -> T:
        async with Client(server) as client:
            return await call(client)

    return asyncio.run(asked())


def say(process: "subprocess.Popen[str]", *messages: Any) -> None:
    """Write to a server's stdin."""
    assert process.stdin
    process.stdin.write("".join(json.dumps(one) + "\n" for one in messages))
    process.stdin.flush()


def began(process: "subprocess.Popen[str]") -> None:
    """Say the first words of a client."""
    say(process, FIRST, INITIALIZED)
    assert process.stdout
    assert json.loads(process.stdout.readline())["id"] == 1


def ask(process: "subprocess.Popen[str]", method: str, **params: Any) -> Any:
    """Ask a server over stdin, and wait for its result."""
    say(process, request(method, **params))
    assert process.stdout
    return json.loads(process.stdout.readline())["result"]


def request(method: str, **params: Any) -> Any:
    """Give a request that is not the first."""
    return {"jsonrpc": "2.0", "id": 2, "method": method, "params": params}


def fill(folder: Path, encoder: SentenceEncoder) -> Path:
    """Write some notes into a folder, and index them; give the database."""
    notes, path = folder / "notes", folder / "notes.db"
    notes.mkdir()
    (notes / "shop.md").write_text(f"# Orders\n\n## Returns\n\n{RETURNS}\n\n## Hours\n\n{HOURS}\n")
    (notes / "refunds.txt").write_text(f"{REFUND}\n")
    with TextIndex(path, encoder) as index:
        index_paths(index, [notes])
    return path


@pytest.fixture
def db(tmp_path: Path, encoder: SentenceEncoder) -> Path:
    """A database of notes, for a test that changes it."""
    return fill(tmp_path, encoder)


@pytest.fixture
def notes(db: Path) -> Path:
    """The folder of the notes."""
    return db.parent / "notes"


@pytest.fixture
def make(encoder: SentenceEncoder) -> Iterator[Callable[..., Any]]:
    """Make the server of a database, of which clients may index these folders."""
    from minilm_onnx.mcpserver.app import create_server
    from minilm_onnx.mcpserver.folders import Folders
    from minilm_onnx.mcpserver.library import Library

    made = []

    def server(path: Path, *folders: Path) -> Any:
        made.append(Library(path, lambda: encoder, Folders(folders) if folders else None))
        return create_server(made[-1])

    yield server
    for library in made:
        library.close()
