"""Web pages of other origins: who may ask, and what browsers are told before."""

from typing import Any

import pytest

from minilm_onnx import InputError, SentenceEncoder
from minilm_onnx.cli import main

pytest.importorskip("starlette", reason="minilm-onnx[server] is not installed")
pytest.importorskip("httpx", reason="httpx is not installed")

from starlette.testclient import TestClient

from minilm_onnx.server import Settings, create_app
from minilm_onnx.server.origins import Origins

# What OpenAI's JavaScript package sends beside the key.
STAINLESS = ", ".join(
    f"x-stainless-{word}"
    for word in ("arch", "lang", "os", "package-version", "retry-count", "runtime", "timeout")
)


def ask_first(client: Any, path: str, origin: str, **headers: str) -> Any:
    """Ask as a browser does before it sends a page's request."""
    asked = {"origin": origin, "access-control-request-method": "POST", **headers}
    return client.options(path, headers=asked)


@pytest.mark.parametrize(
    ("pattern", "allowed", "refused"),
    [
        ("https://mine.example", ["https://mine.example"], ["http://mine.example", "null"]),
        (
            "http://localhost:*",
            ["http://localhost", "http://localhost:3000"],
            ["https://localhost:3000", "http://localhost.example", "http://localhost:80.example"],
        ),
        ("http://[::1]:*", ["http://[::1]:3000"], ["http://[::2]:3000"]),
        (
            "https://*.mine.example",
            ["https://a.mine.example", "https://a.b.mine.example"],
            ["https://mine.example", "https://notmine.example", "https://a.mine.example:1"],
        ),
        ("app://*", ["app://obsidian.md"], ["http://obsidian.md"]),
        ("tauri://localhost", ["tauri://localhost"], ["tauri://elsewhere"]),
        ("vscode-webview://*", ["vscode-webview://0abc-1"], ["vscode-file://0abc-1"]),
        ("file://*", ["file://"], ["null"]),
        ("null", ["null"], ["https://null"]),
        ("*", ["null", "https://any.example"], []),
        ("HTTPS://Mine.Example", ["https://mine.example"], []),
    ],
)
def test_patterns_allow_what_they_say(
    pattern: str, allowed: list[str], refused: list[str], encoder: SentenceEncoder
) -> None:
    origins = Origins((pattern,))
    assert [one for one in allowed if not origins.allow(one)] == []
    assert [one for one in refused if origins.allow(one)] == []
    with TestClient(create_app(encoder, Settings(allow_origins=(pattern,)))) as client:
        for origin in (*allowed, *refused):
            status = 200 if origin in allowed else 403
            assert ask_first(client, "/v1/embeddings", origin).status_code == status
            answer = client.post("/embed", json={"inputs": "a"}, headers={"origin": origin})
            assert answer.status_code == status
            told = answer.headers.get("access-control-allow-origin")
            assert (told in (origin, "*")) == (status == 200)


@pytest.mark.parametrize(
    "pattern",
    [
        *("mine.example", "localhost:3000", "https://mine.example/", "https://mine.example/path"),
        *("http://localhost*", "http://192.168.*", "https://a.*.example", "https://*mine.example"),
        *("https://", ""),
        "https://mine.example:port",
    ],
)
def test_what_no_browser_sends_is_refused_at_the_start(
    pattern: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(InputError, match="--allow-origin"):
        Settings(allow_origins=(pattern,))
    assert main(["serve", f"--allow-origin={pattern}"]) == 2
    assert "without a path" in capsys.readouterr().err


@pytest.mark.parametrize("path", ["/v1/embeddings", "/api/embed", "/embed"])
def test_any_header_may_come_along_and_be_seen(encoder: SentenceEncoder, path: str) -> None:
    page = "app://obsidian.md"
    with TestClient(create_app(encoder, Settings(allow_origins=("app://*",)))) as client:
        for headers in (f"authorization, content-type, {STAINLESS}", "user-agent", "x-any"):
            asked = {"access-control-request-headers": headers}
            asked["access-control-request-private-network"] = "true"
            answer = ask_first(client, path, page, **asked)
            assert answer.status_code == 200
            assert answer.headers["access-control-allow-origin"] == page
            assert answer.headers["access-control-allow-headers"] == headers
            assert answer.headers["access-control-allow-private-network"] == "true"
        body = {"model": "all-minilm", "input": "a", "inputs": "a"}
        answer = client.post(path, json=body, headers={"origin": page})
        assert answer.headers["access-control-expose-headers"] == "*"


@pytest.mark.parametrize("allowed", [(), ("https://mine.example",)])
def test_a_refusal_names_the_option(encoder: SentenceEncoder, allowed: tuple[str, ...]) -> None:
    other = "https://other.example"
    with TestClient(create_app(encoder, Settings(allow_origins=allowed))) as client:
        for path in ("/v1/embeddings", "/api/embed", "/embed", "/no/such"):
            asked = ask_first(client, path, other)
            sent = client.post(path, json={}, headers={"origin": other})
            for answer in (asked, sent):
                assert answer.status_code == 403
                assert f"--allow-origin {other}" in answer.text
                assert "access-control-allow-origin" not in answer.headers
