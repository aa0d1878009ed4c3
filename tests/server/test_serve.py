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
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minilm_onnx import InputError, MiniLMError, SentenceEncoder
from minilm_onnx.cli import listening, main, serve
from minilm_onnx.cli.keys import KEYS, read_keys

pytest.importorskip("starlette", reason="minilm-onnx[server] is not installed")
pytest.importorskip("uvicorn", reason="minilm-onnx[server] is not installed")
httpx = pytest.importorskip("httpx", reason="httpx is not installed")

from starlette.testclient import TestClient

from minilm_onnx.server import Settings
from minilm_onnx.server.logs import JsonFormatter
from tests.support.files import write
from tests.support.servers import connect, free_port, read_answer, start, stop

SERVE = [sys.executable, "-m", "minilm_onnx", "serve"]


def test_a_port_of_the_systems_choice_is_named(encoder: SentenceEncoder) -> None:
    command = [*SERVE, "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            where = process.stderr.readline().split()[2].rstrip(";")
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
    assert lines[-1]["tokens"] == 4
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


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_second_sigint_ends_it_at_once(workers: str) -> None:
    with tempfile.TemporaryDirectory() as short:
        where = f"{short}/s"
        process = start(
            *("--unix-socket", where, "--workers", workers), where=where, start_new_session=True
        )
        assert process.stderr is not None
        lines = [process.stderr.readline() for _ in range(6)]
        assert lines[0].startswith("serving on ")
        with socket.socket(socket.AF_UNIX) as one:
            one.connect(where)
            # Its body does not come, so that it stays in hand; "continue" says that it is.
            one.sendall(b"POST /embed HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n")
            one.sendall(b"expect: 100-continue\r\n\r\n")
            assert one.recv(100).startswith(b"HTTP/1.1 100 ")
            os.killpg(process.pid, signal.SIGINT)  # as a terminal does
            said = process.stderr.readline()
            named = "1 request" if workers == "1" else "requests"
            assert said == f"ending: {named} in hand, 60 s at most; Ctrl-C again ends at once\n"
            os.killpg(process.pid, signal.SIGINT)
            _, more = process.communicate(timeout=20)  # its body would be waited for longer
        assert more == ""
        assert process.returncode == 130
        assert not Path(where).exists()


def test_an_address_that_cannot_be_had_is_an_error_in_words(tmp_path: Path) -> None:
    with socket.socket() as taken, tempfile.TemporaryDirectory() as short:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        file = Path(short, "file")
        file.touch()
        for arguments, words in (
            (
                ("--port", port),
                f"error: 127.0.0.1:{port}: expected to listen there, but it is in use; "
                "choose another with --port N",
            ),
            (("--host", "203.0.113.1"), "this machine does not have that address; see --host"),
            (("--host", "no.such.name.invalid"), "that name has no address; see --host"),
            (("--unix-socket", f"{short}/no/s"), "the folder does not exist"),
            (("--unix-socket", f"{file}/s"), "the path goes through a file"),
            (("--unix-socket", str(file)), "it is in use; choose another with --unix-socket FILE"),
            (("--unix-socket", f"{short}/{'s' * 200}"), "the path is too long"),
        ):
            result = subprocess.run([*SERVE, *arguments], capture_output=True, text=True)
            assert result.returncode == 1
            assert result.stderr.count("\n") == 1
            assert ": expected to listen there, but " in result.stderr
            assert words in result.stderr
        assert file.is_file()
        utf_16 = write(tmp_path, "k", "key".encode("utf-16"))
        for keys, words in ((tmp_path / "none", "--api-keys"), (utf_16, "got UTF-16")):
            result = subprocess.run(
                [*SERVE, "--api-keys", str(keys)], capture_output=True, text=True
            )
            assert result.returncode == 2
            assert words in result.stderr.splitlines()[-1]


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may be nobody"
)
def test_a_port_or_a_folder_that_is_not_permitted_is_said_to_be_so(tmp_path: Path) -> None:
    with (
        pytest.raises(MiniLMError, match="permission is denied; choose another"),
        as_nobody(tmp_path),
        listening.bound_file(tmp_path / "s"),
    ):
        pass


@contextmanager
def as_nobody(folder: Path) -> Iterator[None]:
    """Be another user, who may look into the folder and not write there."""
    for one in (folder, *folder.parents):
        if one.stat().st_mode & 0o055 != 0o055 and one != Path("/"):
            one.chmod(0o755)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize(
    ("host", "name"), [("127.0.0.1", "127.0.0.1"), ("::1", "[::1]"), ("localhost", "localhost")]
)
def test_the_first_lines_say_where_clients_find_what(host: str, name: str) -> None:
    if host == "::1" and not has_ipv6():
        pytest.skip("this machine has no IPv6")
    with subprocess.Popen(
        [*SERVE, "--host", host, "--port", "0"], stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stderr is not None
            lines = [process.stderr.readline().rstrip() for _ in range(6)]
            port = re.fullmatch(r"serving on http://.+:(\d+); Ctrl-C ends it", lines[0])
            assert port is not None
            base = f"http://{name}:{port[1]}"
            assert lines[0] == f"serving on {base}; Ctrl-C ends it"
            assert [line.split() for line in lines[2:]] == [
                ["OpenAI", f"{base}/v1"],
                ["Ollama", base],
                ["TEI", base],
                ["page", f"{base}/ui"],
            ]
            assert "all-MiniLM-L6-v2 (int8), 384 dimensions" in lines[1]
            assert httpx.get(f"{base}/ui").status_code == 200  # at once: it does listen
        finally:
            process.kill()


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as one:
            one.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.parametrize(
    ("arguments", "statuses"),
    [
        ((), {"pages.example": 403, "localhost": 200}),
        (("--allow-host", "*.example"), {"pages.example": 200, "other.test": 403}),
        (("--host", "0.0.0.0"), {"service": 200}),
        (("--host", "0.0.0.0", "--allow-host", "service"), {"service": 200, "other": 403}),
    ],
)
def test_names_are_looked_at_on_addresses_that_only_this_machine_reaches(
    arguments: tuple[str, ...], statuses: dict[str, int]
) -> None:
    port = free_port()
    process = start("--port", str(port), *arguments, where=f":{port}")
    try:
        url = f"http://127.0.0.1:{port}/live"
        for host, status in statuses.items():
            assert httpx.get(url, headers={"host": host}).status_code == status
        with connect(port) as old:  # HTTP/1.0 names none
            old.sendall(b"GET /live HTTP/1.0\r\n\r\n")
            assert read_answer(old)[0] == 200
    finally:
        stop(process)


@pytest.mark.skipif(sys.platform != "linux", reason="looks for its workers in /proc")
def test_workers_end_with_the_process_that_watches_them(encoder: SentenceEncoder) -> None:
    port = free_port()
    process = start("--port", str(port), "--workers", "2", where=f":{port}")
    assert process.stderr is not None
    assert process.stderr.readline() == f"serving on http://127.0.0.1:{port}; Ctrl-C ends it\n"
    workers = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    texts = ["and so on " * 20] * 200
    body = json.dumps({"inputs": texts}).encode()
    with connect(port) as one:
        one.sendall(b"POST /embed HTTP/1.1\r\nhost: localhost\r\n")
        one.sendall(b"content-length: %d\r\n\r\n" % len(body) + body)
        process.kill()
        process.wait()
        status, found = read_answer(one)  # what is begun ends
        assert status == 200
        assert np.array_equal(np.float32(json.loads(found)), encoder.encode(texts))
    end = time.monotonic() + 60
    while any(Path(f"/proc/{pid}").exists() for pid in workers):
        assert time.monotonic() < end
    process.stderr.close()
    stop(start("--port", str(port), where=f":{port}"))


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
        (["--port", "x"], "argument --port: expected 0 to 65535, got 'x'"),
        (["--port", "-1"], "--port"),
        (["--deadline", "x"], "argument --deadline: expected more than 0 seconds, got 'x'"),
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


def test_a_socket_that_another_server_has_taken_over_is_left() -> None:
    with tempfile.TemporaryDirectory() as folder:
        where = Path(folder, "s")
        with listening.bound_file(where) as first:
            first.listen()
            first.close()  # as a server does that ends, while it answers what it has begun
            stack = ExitStack()
            second = stack.enter_context(listening.bound_file(where))
            second.listen()
        assert where.is_socket()
        stack.close()
        assert not where.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--port", "http"), "--port: expected 0 to 65535, got 'http'"),
        (("--port", "70000"), "--port: expected 0 to 65535, got '70000'"),
        (("--deadline", "soon"), "--deadline: expected more than 0 seconds, got 'soon'"),
        (("--deadline", "nan"), "--deadline: expected more than 0 seconds, got 'nan'"),
        (("--unix-socket", ""), "--unix-socket: expected a path, got an empty one"),
    ],
)
def test_an_option_that_is_wrong_is_named(
    arguments: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", *arguments]) == 2
    assert words in capsys.readouterr().err


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
    assert read_keys(path) == ("one", "two")
    path.write_text("\n")
    with pytest.raises(InputError, match="one key per line"):
        read_keys(path)
    path.write_bytes(b"\xff")
    with pytest.raises(InputError, match=r"--api-keys .* line 1: expected UTF-8"):
        read_keys(path)
    monkeypatch.setenv(KEYS, "a,b,")
    assert read_keys(None) == ("a", "b")


def test_a_worker_makes_its_own_application(encoder: SentenceEncoder) -> None:
    with TestClient(serve.make_app(SentenceEncoder(threads=1), Settings(), False)) as client:
        found = client.post("/embed", json={"inputs": "a cat"}).json()
    assert np.array_equal(np.array(found, np.float32), encoder.encode(["a cat"]))
