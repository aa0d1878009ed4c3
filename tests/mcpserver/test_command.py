"""minilm-onnx mcp in a process of its own, on stdin and stdout, and over HTTP."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mcp", reason="minilm-onnx[mcp] is not installed")
pytest.importorskip("apsw", reason="minilm-onnx[search] is not installed")

from minilm_onnx import SentenceEncoder
from tests.mcpserver.conftest import COMMAND, FIRST, REFUND, ask, began, connected, fill
from tests.support.libraries import ROOT
from tests.support.running import run
from tests.support.servers import stop


def over_stdio(*arguments: str) -> Any:
    from mcp import StdioServerParameters

    return StdioServerParameters(
        command=COMMAND[0], args=[*COMMAND[1:], *arguments], env=dict(os.environ)
    )


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, encoder: SentenceEncoder) -> Iterator[str]:
    """Of a server over HTTP, on a free port."""
    db = fill(tmp_path_factory.mktemp("http"), encoder)
    process = subprocess.Popen(
        [*COMMAND, "--db", str(db), "--http", "--port", "0"], stderr=subprocess.PIPE, text=True
    )
    assert process.stderr
    said = process.stderr.readline()
    assert said.startswith("serving on http://127.0.0.1:")
    assert said.endswith("/mcp; Ctrl-C ends it\n")
    yield said.split()[2].rstrip(";")
    # Of the test below that asks by another name, and from another site: a line each.
    said = stop(process)
    assert all(re.match(r"Invalid \w+ header: \S+$", line) for line in said.splitlines()), said


async def money_back(client: Any) -> str:
    """What the first result of a search says, and the resource that it is."""
    found = await client.call_tool("search", {"query": "how do I get my money back", "top_k": 1})
    assert not found.is_error, found.content
    (passage,) = found.structured_content["passages"]
    (read,) = (await client.read_resource(passage["uri"])).contents
    assert read.text == passage["text"]
    text: str = passage["text"]
    return text


def test_a_client_finds_a_passage_over_http(address: str) -> None:
    assert connected(address, money_back) == REFUND


def test_a_client_indexes_over_stdio_where_it_may(notes: Path, tmp_path: Path) -> None:
    async def index(client: Any) -> str:
        done = await client.call_tool("index", {"paths": ["."]})
        assert done.structured_content["files_indexed"] == 2
        return await money_back(client)

    db = tmp_path / "new.db"
    server = over_stdio("--db", str(db), "--allow-index", str(notes))
    assert connected(server, index) == REFUND


@pytest.mark.parametrize("version", ["2025-11-25", "2026-07-28"])
def test_a_client_finds_a_passage_over_stdio(db: Path, version: str) -> None:
    """Today's programs begin with initialize, those of the newest protocol do not."""
    from mcp import Client

    async def found() -> tuple[str, str]:
        mode = "legacy" if version == "2025-11-25" else version
        async with Client(over_stdio("--db", str(db)), mode=mode) as client:
            return client.protocol_version, await money_back(client)

    assert asyncio.run(found()) == (version, REFUND)


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT, None])
def test_stdout_has_nothing_but_the_protocol(db: Path, end: signal.Signals | None) -> None:
    """And the process ends well, by a signal or when the client leaves, though stdin is open."""
    with subprocess.Popen(
        [*COMMAND, "--db", str(db)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        process.stdin.write(json.dumps(FIRST) + "\n")
        process.stdin.flush()
        answer = json.loads(process.stdout.readline())
        assert answer["id"] == 1
        assert answer["result"]["serverInfo"]["name"] == "minilm-onnx"
        assert set(answer["result"]["capabilities"]) >= {"tools", "resources"}
        if end:
            process.send_signal(end)
        else:
            process.stdin.close()
        assert process.wait(60) == 0
        assert process.stdout.read() == process.stderr.read() == ""
    assert [path.name for path in db.parent.glob("notes.db*")] == ["notes.db"]


def test_the_process_ends_well_without_its_database(db: Path, notes: Path) -> None:
    with subprocess.Popen(
        [*COMMAND, "--db", str(db), "--allow-index", str(notes)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        began(process)
        status = {"name": "status", "arguments": {}}
        assert not ask(process, "tools/call", **status)["isError"]
        db.unlink()
        assert (
            "nothing is indexed yet" in ask(process, "tools/call", **status)["content"][0]["text"]
        )
        assert process.stdin
        process.stdin.close()
        assert process.stderr
        assert (process.wait(60), process.stderr.read()) == (0, "")
    assert not list(db.parent.glob("notes.db*"))


@pytest.mark.parametrize(
    ("field", "value", "status"),
    [("Host", "rebound.example", 421), ("Origin", "http://rebound.example", 403)],
)
def test_a_web_page_cannot_ask(address: str, field: str, value: str, status: int) -> None:
    """Neither one of another site, nor by a name of its own for this machine."""
    from urllib.error import HTTPError
    from urllib.request import Request, urlopen

    kinds = "application/json, text/event-stream"
    fields = {"Content-Type": "application/json", "Accept": kinds, field: value}
    with pytest.raises(HTTPError) as error:
        urlopen(Request(address, json.dumps(FIRST).encode(), fields))
    with error.value:
        assert error.value.code == status


def test_the_encoder_is_loaded_when_it_is_first_needed(db: Path, tmp_path: Path) -> None:
    """So that a server answers sooner, and one that is not asked takes less memory."""
    code = (
        "import sys\n"
        "from minilm_onnx.cli import mcp, main\n"
        "def load(options): raise SystemExit('loaded')\n"
        "mcp.load_encoder = load\n"
        f"sys.exit(main(['mcp', '--db', {str(db)!r}]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=json.dumps(FIRST) + "\n",
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["id"] == 1


def test_other_commands_do_not_import_the_sdk() -> None:
    code = (
        "import sys, minilm_onnx.cli\n"
        "minilm_onnx.cli.build_parser()\n"
        "print({'mcp', 'mcp_types', 'pydantic', 'anyio', 'starlette'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "required: --db"),
        (["--db", "none.db"], "none.db: expected an index, got none; make one: minilm-onnx index"),
        (["--db", "notes.db", "--port", "8000"], "--port: expected --http with it"),
        (["--db", "notes.db", "--http", "--port", "x"], "expected 0 to 65535, got 'x'"),
        (["--db", "notes.db", "--allow-index", "none"], "--allow-index none: expected a folder"),
        (["--db", "notes.db", "more"], "expected no 'more'"),
    ],
)
def test_wrong_options_are_a_line(
    db: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(db.parent)
    code, out, error = run(capsys, "mcp", *arguments)
    assert (code, out) == (2, "")
    assert error.startswith("error: ")
    assert said in error
    assert error.count("\n") == 1


def test_a_closed_stdin_is_a_line(
    db: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    code, _, said = run(capsys, "mcp", "--db", db)
    assert (code, said.count("\n")) == (2, 1)
    assert said.startswith("error: mcp: expected a client on stdin, got a closed one")


def test_a_port_in_use_is_a_line(
    address: str, db: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    number = address.split(":")[2].split("/")[0]
    code, _, said = run(capsys, "mcp", "--db", db, "--http", "--port", number)
    assert (code, said.count("\n")) == (1, 1)
    assert said == (
        f"error: 127.0.0.1:{number}: expected to listen there, but it is in use; choose another "
        "with --port N\n"
    )


def test_what_is_not_installed_is_named(
    db: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("mcp", "minilm_onnx.mcpserver.app"):
        monkeypatch.setitem(sys.modules, name, None)
    code, _, said = run(capsys, "mcp", "--db", db)
    assert (code, said.count("\n")) == (2, 1)
    assert "expected the package mcp>=2.3,<3, got none; run pip install '.[mcp]'" in said


@pytest.mark.parametrize(("version", "options"), [("1.9.4", []), ("3.0.0", ["--http"])])
def test_another_version_of_the_sdk_is_a_line_before_the_first_answer(
    db: Path, tmp_path: Path, version: str, options: list[str]
) -> None:
    """Its modules have other names."""
    (tmp_path / "mcp").mkdir()
    (tmp_path / "mcp" / "__init__.py").touch()
    (tmp_path / f"mcp-{version}.dist-info").mkdir()
    done = subprocess.run(
        [*COMMAND, "--db", str(db), *options],
        input=json.dumps(FIRST) + "\n",
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"error: mcp: expected the package mcp>=2.3,<3, got {version}; run pip install '.[mcp]' "
        "in a clone of minilm-onnx\n"
    )


@pytest.mark.parametrize("version", ["2.2.9", "2", "dev"])
def test_no_earlier_version_of_the_sdk_will_do(
    db: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    monkeypatch.setattr("minilm_onnx.mcpserver.sdk._installed", lambda: version)
    code, _, said = run(capsys, "mcp", "--db", db)
    assert (code, said.count("\n")) == (2, 1)
    assert f"expected the package mcp>=2.3,<3, got {version}; run pip" in said


def test_the_version_of_the_sdk_is_that_of_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """As pip and pyproject.toml have it, also where the name of no folder says it."""
    from importlib.metadata import version

    from minilm_onnx.mcpserver import sdk

    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert f"mcp{sdk.EXPECTED}" in needed["project"]["optional-dependencies"]["mcp"]
    first, beyond = (".".join(map(str, one)) for one in (sdk.FIRST, sdk.BEYOND))
    assert f">={first},<{beyond}".removesuffix(".0") == sdk.EXPECTED
    assert sdk._installed() == version("mcp")
    monkeypatch.setattr(Path, "glob", lambda *_: [])
    assert sdk._installed() == version("mcp")
