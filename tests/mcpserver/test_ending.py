"""minilm-onnx mcp that ends while a call is at work, or whose client has gone."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mcp", reason="minilm-onnx[mcp] is not installed")
pytest.importorskip("apsw", reason="minilm-onnx[search] is not installed")

from tests.mcpserver.conftest import COMMAND, FIRST, began, connected, request, say
from tests.support.servers import stop

INDEX = request("tools/call", name="index", arguments={"paths": ["."]})
# It embeds only once the index is closed, or never; and says by a pipe that it begins to.
HELD = """
import os, sys, threading
from minilm_onnx.cli import main, mcp
from minilm_onnx.index.textindex import TextIndex
closed, close, embed = threading.Event(), TextIndex.close, TextIndex._embed
def closing(self):
    close(self)
    closed.set()
def held(self, texts, tally, done):
    os.write({begun}, b".")
    ({event}).wait()
    return embed(self, texts, tally, done)
TextIndex.close, TextIndex._embed = closing, held
mcp.GRACE_SECONDS = {grace}
sys.exit(main({arguments}))
"""


@contextmanager
def holding(
    *arguments: str, event: str = "closed", grace: float = 60
) -> Iterator[tuple["subprocess.Popen[str]", int]]:
    """Start it; what comes from the number says that a call is at work."""
    at_work, begun = os.pipe()
    code = HELD.format(begun=begun, event=event, grace=grace, arguments=["mcp", *arguments])
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        pass_fds=[begun],
    ) as process:
        os.close(begun)
        try:
            yield process, at_work
        finally:
            process.kill()
            os.close(at_work)


@contextmanager
def indexing(db: Path, notes: Path, **options: Any) -> Iterator[tuple[Any, Any]]:
    """Have a client over HTTP call index; give the process, and what the client is to get."""
    arguments = ["--db", str(db), "--allow-index", str(notes), "--http", "--port", "0"]
    with ThreadPoolExecutor() as pool, holding(*arguments, **options) as (process, at_work):
        assert process.stderr
        address = process.stderr.readline().split()[2].rstrip(";")

        async def call(client: Any) -> Any:
            return await client.call_tool("index", {"paths": ["."]})

        result = pool.submit(connected, address, call)
        assert os.read(at_work, 1)
        yield process, result


def test_a_call_of_index_over_http_is_answered_before_the_end(notes: Path, tmp_path: Path) -> None:
    with indexing(tmp_path / "new.db", notes) as (process, result):
        process.send_signal(signal.SIGTERM)
        line = process.stderr.readline()
        assert re.fullmatch(r"ending: \d requests? in hand, 60 s at most; Ctrl-C .*\n", line)
        given = result.result(60)
        assert given.is_error
        assert "got one that ends; what was indexed is kept" in given.content[0].text
        assert (process.wait(60), process.stderr.read()) == (0, "")


def test_a_call_that_does_not_end_is_given_up_in_time(notes: Path, tmp_path: Path) -> None:
    never = {"event": "threading.Event()", "grace": 0.3}
    with indexing(tmp_path / "new.db", notes, **never) as (process, result):
        process.send_signal(signal.SIGTERM)
        assert "in hand, 0.3 s at most; " in process.stderr.readline()
        assert (process.wait(60), process.stderr.read()) == (0, "")
        assert result.exception(60)


def test_a_stream_that_waits_for_news_ends_without_a_word(db: Path) -> None:
    from http.client import HTTPConnection

    process = subprocess.Popen(
        [*COMMAND, "--db", str(db), "--http", "--port", "0"], stderr=subprocess.PIPE, text=True
    )
    assert process.stderr
    address = process.stderr.readline().split()[2].rstrip(";")
    with closing(HTTPConnection(address.split("/")[2])) as one:
        fields = {"Accept": "application/json, text/event-stream"}
        kind = {"Content-Type": "application/json"}
        one.request("POST", "/mcp", json.dumps(FIRST), {**fields, **kind})
        with one.getresponse() as first:
            session = {"Mcp-Session-Id": first.headers["mcp-session-id"]}
            first.read()
        one.request("GET", "/mcp", headers={**fields, **session})
        with one.getresponse() as stream:
            assert stream.headers["content-type"].startswith("text/event-stream")
            assert stop(process) == ""


@pytest.mark.parametrize("event", ["closed", "threading.Event()"])
def test_a_client_that_closes_stdin_ends_a_call_of_index(
    notes: Path, tmp_path: Path, event: str
) -> None:
    arguments = ["--db", str(tmp_path / "new.db"), "--allow-index", str(notes)]
    grace = 60 if event == "closed" else 0.3
    with holding(*arguments, event=event, grace=grace) as (process, at_work):
        began(process)
        say(process, INDEX)
        assert os.read(at_work, 1)
        assert process.stdin
        process.stdin.close()
        assert process.stderr
        assert (process.wait(60), process.stderr.read()) == (0, "")


def test_a_client_that_closes_stdout_ends_it(notes: Path, tmp_path: Path) -> None:
    """Also a call that is at work, and though stdin is open."""
    arguments = ["--db", str(tmp_path / "new.db"), "--allow-index", str(notes)]
    with holding(*arguments) as (process, at_work):
        began(process)
        say(process, INDEX)
        assert os.read(at_work, 1)
        assert process.stdout
        process.stdout.close()
        say(process, request("ping"))
        assert process.stderr
        assert (process.wait(60), process.stderr.read()) == (0, "")


def test_a_client_that_is_gone_before_the_first_answer_is_no_failure(db: Path) -> None:
    with subprocess.Popen(
        [*COMMAND, "--db", str(db)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        say(process, FIRST)
        assert (process.wait(60), process.stderr.read()) == (0, "")
