"""Refusals of bodies that are still on their way: whoever sends them gets to read why."""

import json
import socket
from collections.abc import Iterator

import pytest

from minilm_onnx import SentenceEncoder

pytest.importorskip("starlette", reason="minilm-onnx[server] is not installed")
pytest.importorskip("uvicorn", reason="minilm-onnx[server] is not installed")

from minilm_onnx.server import Settings, create_app, drain
from tests.support.servers import (
    connect,
    read_answer,
    read_until_closed,
    send_until_closed,
    serving,
)

KEY = b"authorization: Bearer secret\r\n"
LARGE = json.dumps({"inputs": "word " * 800_000}).encode()


@pytest.fixture(scope="module")
def port(encoder: SentenceEncoder) -> Iterator[int]:
    settings = Settings(api_keys=("secret",), max_body=2**20, allow_hosts=())
    with serving(create_app(encoder, settings)) as port:
        yield port


def head(path: bytes, size: int, more: bytes = b"", host: bytes = b"localhost") -> bytes:
    return b"POST %s HTTP/1.1\r\nhost: %s\r\ncontent-length: %d\r\n%s\r\n" % (
        path,
        host,
        size,
        more,
    )


CASES = {
    "key": (401, head(b"/embed", len(LARGE))),
    "size": (413, head(b"/embed", len(LARGE), KEY)),
    "packing": (415, head(b"/embed", len(LARGE), KEY + b"content-encoding: br\r\n")),
    "path": (404, head(b"/no", len(LARGE))),
    "slash": (307, head(b"/embed/", len(LARGE))),
    "host": (403, head(b"/embed", len(LARGE), host=b"pages.example")),
}


@pytest.mark.parametrize("more", [b"", b"connection: close\r\n"], ids=["kept", "closed"])
@pytest.mark.parametrize("case", CASES)
def test_who_sends_a_large_body_that_is_refused_reads_why(
    port: int, case: str, more: bytes
) -> None:
    status, said = CASES[case]
    with connect(port) as one:
        one.sendall(said[:-2] + more + b"\r\n")
        one.sendall(LARGE)
        assert read_answer(one)[0] == status
        if not more and case != "size":
            one.sendall(b"GET /live HTTP/1.1\r\nhost: localhost\r\n\r\n")
            assert read_answer(one)[0] == 200


def test_who_waits_for_an_answer_before_sending_more_gets_it(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drain, "PAUSE_SECONDS", 0.05)
    with connect(port) as one:
        one.sendall(head(b"/no", 100) + b"x")
        said = read_until_closed(one)
    assert said.split()[1] == b"404"
    assert b"connection: close" in said


def test_a_body_that_is_refused_is_not_read_for_ever(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drain, "DRAIN_BYTES", 2**18)
    with connect(port) as one:
        one.sendall(b"POST /no HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n")
        send_until_closed(one, b"10000\r\n" + b" " * 2**16 + b"\r\n")


def test_a_body_that_is_only_sent_when_asked_for_is_not_asked_for(port: int) -> None:
    with connect(port) as one:
        one.sendall(head(b"/no", 100, b"expect: 100-continue\r\n"))
        one.shutdown(socket.SHUT_WR)
        assert not read_until_closed(one).startswith(b"HTTP/1.1 100")
