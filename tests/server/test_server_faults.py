"""Clients that are slow, wrong, many or gone: the server answers the others, and rightly."""

import json
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from minilm_onnx import SentenceEncoder

pytest.importorskip("starlette", reason="minilm-onnx[server] is not installed")
pytest.importorskip("uvicorn", reason="minilm-onnx[server] is not installed")
httpx = pytest.importorskip("httpx", reason="httpx is not installed")
resource = pytest.importorskip("resource", reason="it asks Unix for its limits")

from minilm_onnx.server import Settings, connections, create_app
from tests.support.servers import (
    connect,
    free_port,
    read_answer,
    read_until_closed,
    send_until_closed,
    serving,
    start,
    stop,
)

MANY = 10_000
HEAD = b"POST /embed HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"


@pytest.fixture(scope="module")
def port(encoder: SentenceEncoder) -> Iterator[int]:
    with serving(create_app(encoder, Settings(max_body=2**20))) as port:
        yield port


@pytest.fixture
def serve(encoder: SentenceEncoder) -> Iterator[Callable[..., int]]:
    """A server of its own, with other limits."""
    with ExitStack() as stack:
        yield lambda **limits: stack.enter_context(serving(create_app(encoder, Settings(**limits))))


def request(body: bytes) -> bytes:
    return HEAD + b"content-length: %d\r\n\r\n" % len(body) + body


def answers_rightly(port: int, encoder: SentenceEncoder) -> bool:
    with connect(port) as one:
        one.sendall(request(b'{"inputs": "a cat"}'))
        status, body = read_answer(one)
    vector = np.array(json.loads(body)[0], dtype=np.float32)
    return status == 200 and np.array_equal(vector, encoder.encode("a cat"))


@pytest.mark.parametrize(
    "sent",
    [
        b"\x00\x01\x02\x03\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # the start of TLS
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /embed HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
        b"POST /embed HTTP/1.1\r\ncontent-length: 99999999999999999999999\r\n\r\n",
        b"POST /embed HTTP/1.1\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd",
        b"POST /embed HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nbad header\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
def test_what_is_not_http_is_refused(port: int, encoder: SentenceEncoder, sent: bytes) -> None:
    with connect(port) as one:
        one.sendall(sent)
        one.shutdown(socket.SHUT_WR)
        said = read_until_closed(one)
    assert not said or said.split()[1] in (b"400", b"404", b"405", b"413")
    assert answers_rightly(port, encoder)


@pytest.mark.parametrize(
    "body",
    [
        b'{"inputs": ' + b"[" * 400_000 + b"]" * 400_000 + b"}",
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b'{"inputs": [' + b"1," * 400_000 + b"1]}",
        b'{"inputs": "' + b"\\u0000" * 100_000 + b'"}',
        b'{"inputs": 1' + b"0" * 500_000 + b"}",
        b"\xf0\x9f\x98" * 100_000,
    ],
    ids=["lists", "objects", "numbers", "nul", "digits", "half-characters"],
)
def test_bodies_meant_to_harm_are_answered(
    port: int, encoder: SentenceEncoder, body: bytes
) -> None:
    with connect(port) as one:
        one.sendall(request(body))
        status, _ = read_answer(one)
    assert status == (200 if b"u0000" in body else 400)
    assert answers_rightly(port, encoder)


def test_a_body_that_is_announced_too_large_is_not_waited_for(port: int) -> None:
    with connect(port) as one:
        one.sendall(HEAD + b"content-length: 10000000000\r\nexpect: 100-continue\r\n\r\n")
        assert read_until_closed(one).split()[1] == b"413"


def test_a_body_without_end_is_cut_off(port: int, encoder: SentenceEncoder) -> None:
    part = b"10000\r\n" + b" " * 2**16 + b"\r\n"
    with connect(port) as one:
        one.sendall(HEAD + b"transfer-encoding: chunked\r\n\r\n")
        send_until_closed(one, part)
    assert answers_rightly(port, encoder)


def test_a_head_without_end_is_cut_off(port: int, encoder: SentenceEncoder) -> None:
    with connect(port) as one:
        one.sendall(b"GET / HTTP/1.1\r\n")
        send_until_closed(one, b"x-more: " + b"x" * 1000 + b"\r\n")
    assert answers_rightly(port, encoder)


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nhost: h"])
def test_a_head_that_is_late_is_not_waited_for(
    port: int, encoder: SentenceEncoder, sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.2)
    with connect(port) as one:
        one.sendall(sent)
        assert read_until_closed(one) == b""
    assert answers_rightly(port, encoder)
    with connect(port) as one:  # nor is a second one
        one.sendall(request(b'{"inputs": "a cat"}'))
        assert read_answer(one)[0] == 200
        one.sendall(b"GET / HT")
        assert read_until_closed(one) == b""


@pytest.mark.parametrize("sent", [b"\r\n", b"\r", b"GET /live HTTP/1.1\r\nh"])
def test_a_connection_is_not_kept_by_what_is_no_request(
    port: int, sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.2)
    with connect(port) as one:
        one.sendall(request(b'{"inputs": "a cat"}'))
        assert read_answer(one)[0] == 200
        one.sendall(sent)
        assert read_until_closed(one) == b""
    with connect(port) as one:  # answered before its body is there
        one.sendall(b"POST /no HTTP/1.1\r\nhost: h\r\ncontent-length: 100\r\n\r\n")
        assert read_answer(one)[0] == 404
        one.sendall(b"x")
        assert read_until_closed(one) == b""


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc for connections")
def test_an_answer_that_is_not_taken_is_given_up(
    port: int, encoder: SentenceEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "TAKE_SECONDS", 0.2)
    body = json.dumps({"inputs": ["a"] * 2048}).encode()
    with connect(port) as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        one.sendall(request(body))
        end = time.monotonic() + 60
        while connections_of(port):  # it reads nothing
            assert time.monotonic() < end
    assert answers_rightly(port, encoder)


def connections_of(port: int) -> int:
    """How many of this process' connections are served there, by what the kernel says."""
    ends = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return sum(end[1].endswith(f":{port:04X}") and end[3] == "01" for end in ends)


def test_a_body_that_is_late_is_not_waited_for(serve: Callable[..., int]) -> None:
    with connect(serve(body_s=0.2)) as one:
        one.sendall(HEAD + b'content-length: 100\r\n\r\n{"inputs":')
        said = read_until_closed(one)
    assert said.split()[1] == b"408"
    assert b"body: expected the whole body within 0.2 s" in said


def test_bodies_together_hold_no_more_than_they_may(
    serve: Callable[..., int], encoder: SentenceEncoder
) -> None:
    port = serve(max_held=200_000)
    most, rest = b'{"inputs": "' + b"x" * 150_000, b'"}'
    with connect(port) as first, connect(port) as second:
        first.sendall(HEAD + b"content-length: %d\r\n\r\n" % len(most + rest) + most)
        end = time.monotonic() + 60
        while answers_rightly_within(port, 60_000):  # until the first is held
            assert time.monotonic() < end
        second.sendall(request(b'{"inputs": "' + b"x" * 100_000 + b'"}'))
        assert read_answer(second)[0] == 429
        first.sendall(rest)
        assert read_answer(first)[0] == 200
    assert answers_rightly_within(port, 150_000)
    assert answers_rightly(port, encoder)


def answers_rightly_within(port: int, size: int) -> bool:
    """Whether a body of so many bytes is taken."""
    with connect(port) as one:
        one.sendall(request(b'{"inputs": "' + b"y" * size + b'"}'))
        return read_answer(one)[0] == 200


def test_clients_that_are_gone_leave_nothing_behind(port: int, encoder: SentenceEncoder) -> None:
    body = json.dumps({"inputs": ["word " * 300] * 200}).encode()
    before = computed(port)
    for number in range(20):
        with connect(port) as one:
            one.sendall(request(body))
            if number % 2:
                one.shutdown(socket.SHUT_WR)  # half closed: taken for gone
                assert read_until_closed(one) == b""
    assert answers_rightly(port, encoder)
    end = time.monotonic() + 60
    while not {"te_queue_size 0.0", "minilm_queue_tokens 0.0"} <= set(metrics(port)):
        assert time.monotonic() < end
    assert computed(port) - before < 2000  # of 4,000 that were asked for


def metrics(port: int) -> list[str]:
    with httpx.Client(timeout=60) as client:
        said: str = client.get(f"http://127.0.0.1:{port}/metrics").text
    return said.splitlines()


def computed(port: int) -> float:
    """How many texts were given to runs."""
    (line,) = (line for line in metrics(port) if line.startswith("te_batch_next_size_sum"))
    return float(line.split()[1])


def test_without_files_left_it_answers_once_some_are_free(encoder: SentenceEncoder) -> None:
    port = free_port()
    process = start(
        "--port",
        str(port),
        where=f"http://127.0.0.1:{port}",
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64)),
    )
    with ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(connect(port))
    end = time.monotonic() + 60
    while not answers_at_all(port):  # those that come meanwhile are turned away
        assert time.monotonic() < end
    assert answers_rightly(port, encoder)
    process.terminate()
    process.communicate(timeout=60)
    assert process.returncode == 0


def answers_at_all(port: int) -> bool:
    try:
        with connect(port) as one:
            one.sendall(b"GET /live HTTP/1.1\r\nhost: localhost\r\n\r\n")
            return bool(one.recv(100))
    except OSError:
        return False


@pytest.mark.slow
def test_ten_thousand_connections(encoder: SentenceEncoder) -> None:
    soft, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most < MANY + 1000:
        pytest.skip(f"{most} open files are allowed here, which are too few")
    port = free_port()
    process = start("--port", str(port), where=f"http://127.0.0.1:{port}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    try:
        with ExitStack() as stack:
            many = [stack.enter_context(connect(port)) for _ in range(MANY)]
            assert answers_rightly(port, encoder)
            for one in many:
                one.sendall(request(b'{"inputs": "a cat"}'))
            expected = encoder.encode("a cat")
            statuses: dict[int, int] = {}
            for one in many:
                status, body = read_answer(one)
                statuses[status] = statuses.get(status, 0) + 1
                if status == 200:
                    assert np.array_equal(np.float32(json.loads(body)[0]), expected)
        assert set(statuses) <= {200, 429}
        assert statuses[200] >= 1000
        assert answers_rightly(port, encoder)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, most))
        said = stop(process)
    assert "Traceback" not in said
