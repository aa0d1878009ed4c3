"""minilm-onnx serve: its options, where it listens, its workers, its log, and how it ends."""

import asyncio
import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minilm_onnx import InputError, SentenceEncoder
from minilm_onnx.cli import main, serve

pytest.importorskip("starlette", reason="minilm-onnx[server] is not installed")
pytest.importorskip("uvicorn", reason="minilm-onnx[server] is not installed")
httpx = pytest.importorskip("httpx", reason="httpx is not installed")

from starlette.testclient import TestClient

from minilm_onnx.server import Settings
from minilm_onnx.server.logs import JsonFormatter
from tests.support.files import write
from tests.support.servers import can_connect, free_port, start, stop


def test_a_port_of_the_systems_choice_is_named(encoder: SentenceEncoder) -> None:
    command = [sys.executable, "-m", "minilm_onnx", "serve", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            where = process.stderr.readline().split()[2].rstrip(";")
            end = time.monotonic() + 60
            while not can_connect(where):
                assert time.monotonic() < end
            with httpx.Client(timeout=60) as client:
                found = client.post(f"{where}/embed", json={"inputs": "a cat"}).json()
        finally:
            process.kill()
    assert np.array_equal(np.float32(found[0]), encoder.encode("a cat"))


def test_a_unix_socket_a_key_file_and_a_log_without_the_texts(tmp_path: Path) -> None:
    keys, where = tmp_path / "keys.txt", str(tmp_path / "s.sock")
    keys.write_bytes(b"\xef\xbb\xbfsecret\r\n")  # as Notepad of Windows writes it
    process = start("--unix-socket", where, "--api-keys", str(keys), "--log-requests", where=where)
    with httpx.Client(transport=httpx.HTTPTransport(uds=where)) as client:
        assert client.post("http://x/embed", json={"inputs": "unheard"}).status_code == 401
        right = {"authorization": "Bearer secret"}
        asked = client.post("http://x/embed", json={"inputs": "unheard"}, headers=right)
        assert asked.status_code == 200
    said = stop(process)
    lines = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    assert [line["status"] for line in lines if line["path"] == "/embed"] == [401, 200]
    assert lines[-1]["tokens"] == "4"
    assert "unheard" not in said
    assert "secret" not in said


def test_what_was_accepted_is_answered_before_it_ends(encoder: SentenceEncoder) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    process = start("--port", str(port), where=url)
    texts = [f"text {number} " + "and so on " * 20 for number in range(600)]

    async def ask() -> Any:
        async with httpx.AsyncClient(timeout=60) as client:
            asked = asyncio.ensure_future(client.post(f"{url}/embed", json={"inputs": texts}))
            while (await client.get(f"{url}/metrics")).text.find("te_queue_size 1.0") < 0:
                pass
            process.send_signal(signal.SIGTERM)
            return (await asked).json()

    assert np.array_equal(np.float32(asyncio.run(ask())), encoder.encode(texts))
    process.communicate(timeout=60)
    assert process.returncode == 0


def test_an_address_that_cannot_be_had_is_an_error_in_words(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "minilm_onnx", "serve"]
        for arguments, code, words in (
            (("--port", port), 1, "expected to listen on"),
            (("--api-keys", str(tmp_path / "none")), 2, "--api-keys"),
            (("--api-keys", str(write(tmp_path, "k", "key".encode("utf-16")))), 2, "got UTF-16"),
        ):
            result = subprocess.run(
                [*command, *arguments], capture_output=True, text=True, check=False
            )
            assert result.returncode == code
            assert words in result.stderr.splitlines()[-1]


@pytest.mark.skipif(sys.platform != "linux", reason="looks for its workers in /proc")
def test_a_worker_that_is_killed_is_replaced_and_nobody_gets_a_wrong_answer(
    encoder: SentenceEncoder,
) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    process = start("--port", str(port), "--workers", "2", where=url)
    texts = [f"text {number}" for number in range(20)]
    expected = encoder.encode(texts)

    def workers() -> set[int]:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        lines = {int(pid): Path(f"/proc/{pid}/cmdline").read_bytes() for pid in children}
        return {pid for pid, line in lines.items() if b"spawn_main" in line}

    def ask(number: int) -> bool:
        try:
            with httpx.Client(timeout=60) as client:
                answer = client.post(f"{url}/embed", json={"inputs": texts[number % 20]})
        except httpx.TransportError:  # of the worker that was killed
            return False
        assert answer.status_code == 200
        assert np.array_equal(np.float32(answer.json()[0]), expected[number % 20])
        return True

    assert all(ask(number) for number in range(5))
    before = workers()
    assert len(before) == 2
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(ask, number) for number in range(200)]
        os.kill(min(before), signal.SIGKILL)
        answered = sum(one.result() for one in asked)
    assert answered > 100
    end = time.monotonic() + 60
    while len(workers() - {min(before)}) < 2:
        assert time.monotonic() < end
        ask(0)
    assert all(ask(number) for number in range(20))
    with httpx.Client(timeout=60) as client:
        said = client.get(f"{url}/metrics").text
    # Counted by all workers, those that are gone too; what was being counted may be lost.
    (counted,) = re.findall(r'te_request_success{method="/embed"} ([\d.]+)', said)
    assert float(counted) >= answered + 20
    assert "te_queue_size 0.0" in said
    stop(process)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--port", "70000"], "0 to 65535"),
        (["--port", "x"], "--port"),
        (["--deadline", "0"], "more than 0"),
        (["--deadline", "nan"], "more than 0"),
    ],
)
def test_wrong_options_are_refused(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", *arguments]) == 2
    assert words in capsys.readouterr().err


def test_an_empty_list_of_keys_is_not_taken_for_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for empty in ("", " , "):
        monkeypatch.setenv("MINILM_ONNX_API_KEYS", empty)
        assert main(["serve"]) == 2
        assert "got none" in capsys.readouterr().err


def test_a_socket_that_a_killed_server_left_is_taken_over(encoder: SentenceEncoder) -> None:
    with tempfile.TemporaryDirectory() as folder:  # a short path, as sockets need
        where = f"{folder}/s"
        first = start("--unix-socket", where, where=where)
        first.kill()
        first.communicate()
        stop(start("--unix-socket", where, where=where))


def test_a_line_of_the_log_is_json() -> None:
    record = logging.makeLogRecord({"msg": "request", "levelname": "INFO", "path": "/embed"})
    line = json.loads(JsonFormatter().format(record))
    assert (line["event"], line["level"], line["path"]) == ("request", "info", "/embed")
    try:
        raise ValueError("reason")
    except ValueError:
        failed = logging.makeLogRecord({"msg": "failed", "exc_info": sys.exc_info()})
    assert "reason" in json.loads(JsonFormatter().format(failed))["error"]


def test_keys_come_from_a_file_or_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "keys"
    path.write_text("one\n\n two \n")
    assert serve._keys(path) == ("one", "two")
    path.write_text("\n")
    with pytest.raises(InputError, match="a key a line"):
        serve._keys(path)
    path.write_bytes(b"\xff")
    with pytest.raises(InputError, match=r"--api-keys .* line 1: expected UTF-8"):
        serve._keys(path)
    monkeypatch.setenv(serve.KEYS, "a,b,")
    assert serve._keys(None) == ("a", "b")


def test_a_worker_makes_its_own_application(encoder: SentenceEncoder) -> None:
    with TestClient(serve.make_app(SentenceEncoder(threads=1), Settings(), False)) as client:
        found = client.post("/embed", json={"inputs": "a cat"}).json()
    assert np.array_equal(np.array(found, np.float32), encoder.encode(["a cat"]))
