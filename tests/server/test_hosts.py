"""Names that requests call the server by: its own, and those that are allowed."""

from typing import Any

import pytest

from minilm_onnx import SentenceEncoder

pytest.importorskip("starlette", reason="minilm-onnx[server] is not installed")

from starlette.testclient import TestClient

from minilm_onnx.server import Settings, create_app
from minilm_onnx.server.hosts import name_of


def ask(client: Any, host: str, path: str = "/embed") -> Any:
    return client.post(path, json={"inputs": "a"}, headers={"host": host})


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("localhost:8080", 200),
        ("LocalHost.", 200),
        ("", 200),
        ("app.localhost:1", 200),
        ("127.0.0.1:8080", 200),
        ("127.8.9.1", 200),
        ("[::1]:8080", 200),
        ("mine.example:9", 200),
        ("a.sub.example", 200),
        ("pages.example", 403),
        ("pages.example:8080", 403),
        ("mine.example.other", 403),
        ("sub.example", 403),
        ("localhost.example", 403),
        ("127.0.0.1.example", 403),
        ("0.0.0.0", 403),
        ("10.0.0.1", 403),
        ("localhost@pages.example", 403),
    ],
)
def test_other_names_are_refused(encoder: SentenceEncoder, host: str, status: int) -> None:
    settings = Settings(allow_hosts=("Mine.example:80", "*.sub.example"))
    with TestClient(create_app(encoder, settings)) as client:
        assert ask(client, host).status_code == status


def test_the_refusal_has_the_protocols_form_and_names_the_option(encoder: SentenceEncoder) -> None:
    with TestClient(create_app(encoder, Settings(allow_hosts=()))) as client:
        for path in ("/embed", "/v1/embeddings", "/api/embed", "/ui", "/metrics", "/no/such"):
            answer = ask(client, "pages.example:80", path)
            assert answer.status_code == 403
            said = answer.json()["error"]
            said = said["message"] if path.startswith("/v1") else said
            assert said.endswith("start the server with --allow-host pages.example")
        own = {"origin": "http://pages.example", "host": "pages.example"}
        assert client.get("/info", headers=own).status_code == 403
        assert client.options("/embed", headers=own).status_code == 403


def test_any_name_is_answered_where_none_is_looked_at(encoder: SentenceEncoder) -> None:
    for allowed in (None, ("*",)):
        with TestClient(create_app(encoder, Settings(allow_hosts=allowed))) as client:
            assert ask(client, "pages.example").status_code == 200


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("A.example:80", "a.example"),
        ("[::1]:80", "::1"),
        ("[::1]", "::1"),
        ("::1", "::1"),
        ("a.example.", "a.example"),
        ("a.example.:80", "a.example"),
        ("", ""),
    ],
)
def test_the_name_of_a_host(host: str, name: str) -> None:
    assert name_of(host) == name
