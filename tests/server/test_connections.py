"""Connections: other protocols that clients offer, requests behind each other, slow readers."""

import json
import shutil
import socket
import subprocess
from collections.abc import Iterator
from operator import itemgetter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from minilm_onnx import SentenceEncoder

pytest.importorskip("starlette", reason="minilm-onnx[server] is not installed")
uvicorn = pytest.importorskip("uvicorn", reason="minilm-onnx[server] is not installed")

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.server import ServerState

from minilm_onnx.server import connections, create_app
from tests.support.servers import connect, read_answer, read_head, read_until_closed, serving

BODY = b'{"inputs": "a cat"}'
H2C = b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAEAAEAAAAIAAAAB\r\n"
LENGTH = b"content-length: %d\r\n\r\n" % len(BODY)
POST = b"POST /embed HTTP/1.1\r\nhost: localhost\r\n"
CLIENT = Path(__file__).parent / "Ask.java"


@pytest.fixture(scope="module")
def port(encoder: SentenceEncoder) -> Iterator[int]:
    with serving(create_app(encoder)) as port:
        yield port


@pytest.fixture(scope="module")
def cat(encoder: SentenceEncoder) -> Any:
    return encoder.encode(["a cat"])


def asked(one: socket.socket) -> Any:
    """The vectors of the next answer."""
    status, body = read_answer(one)
    assert status == 200, body
    return np.float32(json.loads(body))


@pytest.mark.parametrize(
    "parts",
    [
        [POST + H2C + LENGTH + BODY],
        [POST + H2C + LENGTH, BODY],
        [POST + H2C + LENGTH[:-1], LENGTH[-1:] + BODY[:5], BODY[5:]],
        [POST + H2C + b"transfer-encoding: chunked\r\n\r\n5\r\n" + BODY[:5], b"\r\ne\r\n", BODY[5:],
         b"\r\n0\r\n\r\n"],
        [POST + LENGTH + BODY + POST + H2C + LENGTH + BODY],
    ],
    ids=["at once", "body apart", "cut anywhere", "chunked", "behind another"],
)  # fmt: skip
def test_an_offer_of_http2_is_answered_in_http1_and_the_connection_goes_on(
    port: int, cat: Any, parts: list[bytes], caplog: pytest.LogCaptureFixture
) -> None:
    with connect(port) as one:
        for part in parts:
            one.sendall(part)
        for _ in range(b"".join(parts).count(b"POST")):
            assert np.array_equal(asked(one), cat)
        one.sendall(POST + LENGTH + BODY)
        assert np.array_equal(asked(one), cat)
        one.sendall(POST + H2C + LENGTH + BODY)
        assert np.array_equal(asked(one), cat)
    assert not caplog.records


def test_an_offer_with_expect_is_told_to_go_on(port: int, cat: Any) -> None:
    with connect(port) as one:
        one.sendall(POST + H2C + b"expect: 100-continue\r\n" + LENGTH)
        assert read_head(one) == b"HTTP/1.1 100 Continue\r\n\r\n"
        one.sendall(BODY)
        assert np.array_equal(asked(one), cat)


def test_websocket_is_answered_as_if_it_were_not_offered(port: int, cat: Any) -> None:
    offer = b"connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\r\n"
    with connect(port) as one:
        one.sendall(b"GET /no/such HTTP/1.1\r\nhost: localhost\r\n" + offer)
        assert read_answer(one)[0] == 404
        one.sendall(POST + LENGTH + BODY)
        assert np.array_equal(asked(one), cat)


def test_a_tunnel_is_refused(port: int) -> None:
    with connect(port) as one:
        one.sendall(b"CONNECT other.example:443 HTTP/1.1\r\nhost: other.example\r\n\r\n")
        assert read_until_closed(one).startswith(b"HTTP/1.1 400 ")


@pytest.mark.skipif(not shutil.which("javac"), reason="javac of a JDK is not installed")
def test_the_client_of_the_jdk_gets_its_answers(
    port: int, caplog: pytest.LogCaptureFixture
) -> None:
    result = subprocess.run(
        ["java", str(CLIENT), f"http://127.0.0.1:{port}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.splitlines() == ["200"] * 6
    assert not caplog.records


@pytest.mark.parametrize("field", [b"x-more: " + b"x" * 1000 + b"\r\n", b"x" * 1000])
def test_fields_behind_a_body_are_limited(port: int, cat: Any, field: bytes) -> None:
    chunked = b"transfer-encoding: chunked\r\n\r\n13\r\n" + BODY + b"\r\n0\r\n"
    with connect(port) as one:
        one.sendall(POST + chunked + b"x-more: " + b"x" * 1000 + b"\r\n\r\n")
        assert np.array_equal(asked(one), cat)
        one.sendall(POST + chunked)
        try:
            for _ in range(2 * connections.HEAD_BYTES // len(field)):
                one.sendall(field)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it was closed meanwhile
        said = read_until_closed(one)
    assert not said or said.startswith(b"HTTP/1.1 400 ")


def test_requests_behind_each_other_are_answered_in_their_order(
    port: int, encoder: SentenceEncoder
) -> None:
    texts = [f"text {number} " + "and on " * 200 for number in range(30)]
    bodies = [json.dumps({"inputs": text}).encode() for text in texts]
    with connect(port) as one:
        one.sendall(b"".join(POST + b"content-length: %d\r\n\r\n" % len(b) + b for b in bodies))
        found = np.concatenate([asked(one) for _ in texts])
    assert np.array_equal(found, encoder.encode(texts))


@pytest.mark.parametrize("behind", [1, 400])
def test_a_client_that_asked_twice_and_left_is_noticed(
    behind: int, encoder: SentenceEncoder
) -> None:
    body = json.dumps({"inputs": ["word " * 300] * 400}).encode()
    first = POST + b"content-length: %d\r\n\r\n" % len(body) + body
    with serving(create_app(encoder)) as port:
        with connect(port) as one:
            one.sendall(first)
            wait_for(port, "te_queue_size 1.0")
            one.sendall((POST + LENGTH + BODY) * behind * 10)
        wait_for(port, "te_queue_size 0.0", "minilm_queue_tokens 0.0", "minilm_held_bytes 0.0")
        with connect(port) as one:
            one.sendall(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n")
            said = read_answer(one)[1].decode()
    assert 'te_request_failure{err="499",method="/embed"} 1.0' in said.splitlines()
    assert 'te_request_success{method="/embed"}' not in said


def wait_for(port: int, *lines: str) -> None:
    """Ask for the metrics until they say so."""
    with connect(port) as one:
        said: list[str] = []
        while not set(lines) <= set(said):
            one.sendall(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n")
            said = read_answer(one)[1].decode().splitlines()


class Clock:
    """An event loop's time, which is told how much has passed."""

    def __init__(self) -> None:
        self.now = 0.0
        self.calls: list[tuple[float, Any]] = []

    def time(self) -> float:
        return self.now

    def call_later(self, seconds: float, call: Any) -> Any:
        entry = (self.now + seconds, call)
        self.calls.append(entry)
        return SimpleNamespace(cancel=lambda: entry in self.calls and self.calls.remove(entry))  # type: ignore[func-returns-value]

    def pass_by(self, seconds: float) -> None:
        end = self.now + seconds
        while due := [entry for entry in self.calls if entry[0] <= end]:
            entry = min(due, key=itemgetter(0))
            self.calls.remove(entry)
            self.now = entry[0]
            entry[1]()
        self.now = end


def test_a_reader_is_cut_off_for_silence_and_not_for_being_slow() -> None:
    clock, untaken, aborted = Clock(), [1000], []
    config = uvicorn.Config(create_app, factory=True, log_config=None, ws="none")
    one = connections.Connection(config, ServerState(), {}, clock)  # type: ignore[arg-type]
    transport = SimpleNamespace(
        get_write_buffer_size=lambda: untaken[0], abort=lambda: aborted.append(clock.now)
    )
    one.transport = transport  # type: ignore[assignment]
    one.flow = FlowControl(transport)  # type: ignore[arg-type]
    one.pause_writing()
    for _ in range(20):  # ten minutes, a byte each 29 seconds
        clock.pass_by(29)
        untaken[0] -= 1
    assert not aborted
    clock.pass_by(connections.TAKE_SECONDS + 5)
    assert aborted
    one.pause_writing()
    one.resume_writing()
    assert not clock.calls
