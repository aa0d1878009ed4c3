"""Memory that requests hold: bodies, packed or not, what is kept of them, answers not taken."""

import asyncio
import gzip
import json
import socket
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minilm_onnx import SentenceEncoder

pytest.importorskip("starlette", reason="minilm-onnx[server] is not installed")
pytest.importorskip("uvicorn", reason="minilm-onnx[server] is not installed")

from starlette.requests import Request
from starlette.testclient import TestClient

from minilm_onnx.server import Settings, create_app
from minilm_onnx.server.bodies import MOST_VALUES, Gunzip, check_values
from minilm_onnx.server.budget import COMPONENT, ROOM, Budget, Hold
from minilm_onnx.server.errors import OverloadedError
from minilm_onnx.server.exchange import read_body
from tests.support.servers import connect, read_answer, serving

PATHS: list[tuple[str, dict[str, Any]]] = [
    ("/embed", {"inputs": "a cat"}),
    ("/embed_all", {"inputs": "a cat"}),
    ("/tokenize", {"inputs": "a cat"}),
    ("/similarity", {"inputs": {"source_sentence": "a cat", "sentences": ["a dog"]}}),
    ("/v1/embeddings", {"model": "all-minilm", "input": "a cat"}),
    ("/api/embed", {"model": "all-minilm", "input": "a cat"}),
    ("/api/embeddings", {"model": "all-minilm", "prompt": "a cat"}),
]


@pytest.fixture
def serve(encoder: SentenceEncoder) -> Iterator[Callable[..., int]]:
    """A server of its own, with other limits."""
    with ExitStack() as stack:
        yield lambda **limits: stack.enter_context(serving(create_app(encoder, Settings(**limits))))


def post(path: str, body: dict[str, Any]) -> bytes:
    data = json.dumps(body).encode()
    head = b"POST %s HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\n\r\n"
    return head % (path.encode(), len(data)) + data


def metrics(port: int) -> list[str]:
    with connect(port) as one:
        one.sendall(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n")
        return read_answer(one)[1].decode().splitlines()


def test_a_budget_is_of_all_requests_together() -> None:
    budget = Budget(100_000)
    first, second = Hold(budget), Hold(budget)
    first.set(60_000)
    second.add(30_000)
    second.add(9_000)
    with pytest.raises(OverloadedError):
        second.add(2_000)
    assert budget.held == 99_000
    assert budget.full
    with pytest.raises(OverloadedError):
        Hold(budget).begin()
    first.set(0)
    Hold(budget).begin()
    assert budget.held == 39_000
    second.set(10**9)  # alone
    Hold(budget).set(12_000)
    assert budget.held == 99_500


@pytest.mark.parametrize(("path", "body"), PATHS)
def test_every_path_gives_back_what_it_held(client: Any, path: str, body: dict[str, Any]) -> None:
    assert client.post(path, json=body).status_code == 200
    assert client.post(path, content=b"{").status_code == 400
    assert "minilm_held_bytes 0.0" in client.get("/metrics").text.splitlines()


@pytest.mark.parametrize(("path", "body"), PATHS)
def test_ready_says_what_the_smallest_request_gets(
    encoder: SentenceEncoder, path: str, body: dict[str, Any]
) -> None:
    for most, ready, status in ((ROOM - 1, 503, 429), (8 * ROOM, 200, 200)):
        with TestClient(create_app(encoder, Settings(max_held=most))) as client:
            assert client.get("/ready").status_code == ready
            assert client.get("/health").status_code == 200
            assert client.post(path, json=body).status_code == status


def test_answers_that_nobody_takes_are_held_and_others_are_refused(
    serve: Callable[..., int], encoder: SentenceEncoder
) -> None:
    # As many texts as need more than the system takes of an answer, and room for one such request.
    texts = ["a"] * 2048
    port = serve(max_held=len(texts) * 384 * COMPONENT + 200_000)
    with socket.socket() as silent:
        silent.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**16)
        silent.connect(("127.0.0.1", port))
        silent.sendall(post("/embed", {"inputs": texts}))
        while 'te_request_success{method="/embed"} 1.0' not in metrics(port):
            pass  # until it is computed
        with connect(port) as other:
            other.sendall(post("/embed", {"inputs": texts}))
            assert read_answer(other)[0] == 429
            other.sendall(post("/embed", {"inputs": "a"}))
            assert read_answer(other)[0] == 200
        found = read_answer(silent)
        assert np.array_equal(np.float32(json.loads(found[1])), encoder.encode(texts))
        while "minilm_held_bytes 0.0" not in metrics(port):
            pass


def test_of_a_body_no_more_is_kept_than_what_is_looked_at(encoder: SentenceEncoder) -> None:
    asked = {"inputs": {"a": ["text"], "more": [{}]}, "options": {"b": 1, "more": {}}, "more": []}

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": json.dumps(asked).encode(), "more_body": False}

    request = Request({"type": "http", "headers": []}, receive)
    request.state.hold = Hold(Budget(10**6))
    service = SimpleNamespace(settings=Settings())
    fields = ("inputs.a", "options.b", "missing", "other.c")
    found = asyncio.run(read_body(request, service, fields))  # type: ignore[arg-type]
    assert found == {"inputs": {"a": ["text"]}, "options": {"b": 1}}
    assert 0 < request.state.hold.size < 200


@pytest.mark.parametrize(
    "junk",
    [b"[" + b"{}," * 200_000 + b"1]", b'["' + b'ab","' * 300_000 + b'"]', b"[" * 300_000],
    ids=["objects", "strings", "lists"],
)
def test_bodies_that_would_take_far_more_memory_than_their_bytes_are_refused(
    client: Any, junk: bytes
) -> None:
    for path in ("/embed", "/v1/embeddings", "/api/embed"):
        answer = client.post(path, content=b'{"inputs": "a", "options": ' + junk + b"}")
        assert answer.status_code == 400
        assert "values" in answer.text


@given(st.lists(st.text(st.sampled_from('a,[{"\\\n')), min_size=1, max_size=20))
def test_values_are_not_what_stands_in_texts(texts: list[str]) -> None:
    body = json.dumps({"inputs": [text * 50 for text in texts]}).encode()
    check_values(body * (MOST_VALUES // len(texts) // 25), 0)


def test_a_packed_body_is_unpacked(client: Any, encoder: SentenceEncoder) -> None:
    texts = [f"text {number}" for number in range(50)]
    body = json.dumps({"inputs": texts}).encode()
    for packed in (gzip.compress(body), gzip.compress(body[:9]) + gzip.compress(body[9:])):
        for coding in ("gzip", "GZIP", "x-gzip"):
            answer = client.post("/embed", content=packed, headers={"content-encoding": coding})
            assert answer.status_code == 200
            assert np.array_equal(np.float32(answer.json()), encoder.encode(texts))
    plain = client.post("/embed", content=body, headers={"content-encoding": "identity"})
    assert plain.status_code == 200


@pytest.mark.parametrize(
    ("packed", "words"),
    [
        (b"{}", "expected gzip"),
        (b"", "expected JSON"),
        (gzip.compress(b'{"inputs": "a"}')[:-4], "only its beginning"),
        (gzip.compress(b'{"inputs": "a"}') + b"more", "expected gzip"),
        (zlib.compress(b'{"inputs": "a"}'), "expected gzip"),
    ],
)
def test_what_is_packed_wrongly_is_refused(client: Any, packed: bytes, words: str) -> None:
    answer = client.post("/embed", content=packed, headers={"content-encoding": "gzip"})
    assert answer.status_code == 400
    assert words in answer.json()["error"]


@pytest.mark.parametrize(("path", "body"), PATHS)
def test_other_packings_are_refused_and_told_what_is_taken(
    client: Any, path: str, body: dict[str, Any]
) -> None:
    for coding in ("br", "deflate", "gzip, gzip"):
        answer = client.post(path, json=body, headers={"content-encoding": coding})
        assert answer.status_code == 415
        assert answer.headers["accept-encoding"] == "gzip"
        assert "expected gzip or none" in answer.text


def test_a_body_that_unpacks_to_too_much_is_not_unpacked(encoder: SentenceEncoder) -> None:
    bomb = gzip.compress(b" " * 2**22)
    with TestClient(create_app(encoder, Settings(max_body=2**16))) as client:
        answer = client.post("/embed", content=bomb, headers={"content-encoding": "gzip"})
    assert answer.status_code == 413
    assert "at most 65536 bytes" in answer.json()["error"]


@pytest.mark.parametrize(("members", "status"), [(2, 200), (1025, 400)])
def test_gzip_may_have_some_members(client: Any, members: int, status: int) -> None:
    body = json.dumps({"inputs": "a cat"}).encode()
    packed = gzip.compress(body) + (members - 1) * gzip.compress(b"")
    answer = client.post("/embed", content=packed, headers={"content-encoding": "gzip"})
    assert answer.status_code == status
    assert status == 200 or "at most 1024 members" in answer.json()["error"]


def test_gzip_that_unpacks_to_nothing_is_bounded_by_its_own_bytes(encoder: SentenceEncoder) -> None:
    blocks = b"\x00\x00\x00\xff\xff" * 2**14  # empty ones, which are stored
    packed = gzip.compress(b"")[:10] + blocks
    parts = (packed[first : first + 1000] for first in range(0, len(packed), 1000))
    with TestClient(create_app(encoder, Settings(max_body=2**16))) as client:
        answer = client.post("/embed", content=parts, headers={"content-encoding": "gzip"})
    assert answer.status_code == 413


@given(st.binary(max_size=2000), st.integers(1, 100))
def test_unpacking_does_not_depend_on_where_the_packets_end(data: bytes, size: int) -> None:
    packed = gzip.compress(data * 20)
    unpack = Gunzip()
    parts = [packed[first : first + size] for first in range(0, len(packed), size)]
    assert b"".join(some for part in parts for some in unpack.add(part)) == data * 20
    unpack.close()


def test_an_answer_that_is_taken_too_slowly_when_the_server_ends_is_cut_in_a_line(
    encoder: SentenceEncoder, capsys: pytest.CaptureFixture[str]
) -> None:
    with ExitStack() as stack:
        server = serving(create_app(encoder), timeout_graceful_shutdown=0)
        one = stack.enter_context(connect(server.__enter__()))
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**14)
        one.sendall(post("/embed", {"inputs": ["a"] * 2048}))
        assert one.recv(12) == b"HTTP/1.1 200"
        server.__exit__(None, None, None)
    said = capsys.readouterr().err
    assert "Cancel 1 running task" in said
    assert "Traceback" not in said


def test_a_server_that_ends_says_so_to_who_is_not_answered_in_time(
    encoder: SentenceEncoder,
) -> None:
    go, begun = threading.Event(), threading.Event()

    class Slow:
        dimension, manifest = encoder.dimension, encoder.manifest
        tokenize_texts = encoder.tokenize_texts
        with_default_prompt = encoder.with_default_prompt

        def embed_tokens(self, tokens: Any) -> Any:
            begun.set()
            assert go.wait(60)
            return encoder.embed_tokens(tokens)

    app = create_app(Slow())  # type: ignore[arg-type]  # as far as it is needed
    server = ExitStack()
    with connect(server.enter_context(serving(app, timeout_graceful_shutdown=0))) as one:
        one.sendall(post("/embed", {"inputs": "a"}))
        assert begun.wait(60)
        stopping = threading.Thread(target=server.close)
        stopping.start()
        try:
            status, body = read_answer(one)
        finally:
            go.set()
            stopping.join()
    assert status == 503
    assert json.loads(body)["error_type"] == "Overloaded"
