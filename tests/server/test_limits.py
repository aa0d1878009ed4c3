"""What is refused, and that it is said in each protocol's own form."""

from typing import Any

import pytest

from minilm_onnx import SentenceEncoder

pytest.importorskip("starlette", reason="minilm-onnx[server] is not installed")
pytest.importorskip("httpx", reason="httpx is not installed")

from starlette.testclient import TestClient

from minilm_onnx.server import Settings, create_app


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        ("/embed", {"inputs": ""}, 400, "cannot be empty"),
        ("/embed", {"inputs": []}, 400, "cannot be empty"),
        ("/embed", {"inputs": 3}, 400, "int 3"),
        ("/embed", {"inputs": ["a", None]}, 400, "inputs[1]"),
        ("/embed", {}, 400, "inputs is missing"),
        ("/embed_all", {}, 400, "inputs is missing"),
        ("/tokenize", {}, 400, "inputs is missing"),
        ("/decode", {}, 400, "ids is missing"),
        ("/similarity", {}, 422, "inputs is missing"),
        ("/similarity", {"inputs": {}}, 422, "inputs.source_sentence is missing"),
        (
            "/similarity",
            {"inputs": {"source_sentence": "a"}},
            422,
            "inputs.sentences is missing",
        ),
        ("/", {"inputs": {"source_sentence": "a", "sentences": []}}, 400, "send it to /similarity"),
        ("/v1/embeddings", {}, 400, "input is missing"),
        ("/v1/embeddings", {"input": []}, 400, "got an empty list"),
        ("/embed", {"inputs": "a", "dimensions": 999}, 400, "1 to 384"),
        ("/embed", {"inputs": "word " * 400, "truncate": False}, 413, "256 tokens"),
        ("/embed", {"inputs": ["a"] * 3000}, 413, "at most 2048"),
        (
            "/embed",
            {"inputs": "a", "prompt_name": "query"},
            422,
            "no named prompts; leave the field out",
        ),
        ("/embed", {"inputs": "a", "truncation_direction": "Left"}, 422, "right"),
        ("/embed_all", {"inputs": ["word " * 300] * 65}, 413, "16384 tokens"),
        ("/embed_all", {"inputs": "word " * 300, "truncate": False}, 413, "256 tokens"),
        ("/similarity", {"inputs": {"source_sentence": "a", "sentences": "a"}}, 422, "a list"),
        ("/similarity", {"inputs": {"source_sentence": "", "sentences": ["a"]}}, 400, "empty"),
        (
            "/similarity",
            {
                "inputs": {"source_sentence": "a", "sentences": ["word " * 300]},
                "parameters": {"truncate": False},
            },
            413,
            "256 tokens",
        ),
        ("/similarity", {"inputs": "x"}, 422, "inputs"),
        ("/v1/embeddings", {"input": "a", "model": 3}, 400, "model"),
        (
            "/v1/embeddings",
            {"input": "a", "model": "all-minilm", "encoding_format": "x"},
            400,
            "'x'",
        ),
        ("/api/embed", {"input": "a"}, 400, "model is required"),
        ("/api/embed", {"model": "all-minilm", "input": {"a": 1}}, 400, "invalid input type"),
        ("/no/such", {}, 404, "/no/such"),
        ("/v1/no/such", {}, 404, "/v1/no/such"),
        ("/api/no/such", {}, 404, "/api/no/such"),
        ("/info", {}, 405, "expected GET, HEAD, got POST"),
    ],
)
def test_what_is_wrong_is_said_in_the_protocols_form(
    client: Any, path: str, body: dict[str, Any], status: int, words: str
) -> None:
    answer = client.post(path, json=body)
    assert answer.status_code == status
    said = answer.json()
    if path.startswith("/v1"):
        said = said["error"]
        assert set(said) == {"message", "type", "param", "code"}
        said = said["message"]
    else:
        assert set(said) == ({"error"} if path.startswith("/api") else {"error", "error_type"})
        said = said["error"]
    assert words in said
    assert client.post("/embed", json={"inputs": "a cat"}).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"inputs": NaN}',
        b'{"a": "\\ud800"}',
    ],
)
def test_a_body_that_is_none_is_refused(client: Any, body: bytes) -> None:
    for path in ("/embed", "/v1/embeddings", "/api/embed"):
        answer = client.post(path, content=body)
        assert 400 <= answer.status_code < 500


def test_limits_keys_and_origins(encoder: SentenceEncoder) -> None:
    settings = Settings(
        api_keys=("secret", "other"), max_body=1000, allow_origins=("https://mine.example",)
    )
    with TestClient(create_app(encoder, settings)) as client:
        assert client.post("/embed", json={"inputs": "a"}).status_code == 401
        wrong = {"authorization": "Bearer secre"}
        assert client.post("/embed", json={"inputs": "a"}, headers=wrong).status_code == 401
        right = {"authorization": "Bearer other"}
        assert client.post("/embed", json={"inputs": "a"}, headers=right).status_code == 200
        large = client.post("/embed", json={"inputs": "a" * 2000}, headers=right)
        assert large.status_code == 413
        origin = {"origin": "https://mine.example", "access-control-request-method": "POST"}
        assert client.options("/embed", headers=origin).status_code == 200
        other = origin | {"origin": "https://other.example"}
        assert client.options("/embed", headers=other).status_code == 403
    with TestClient(create_app(encoder)) as client:
        answer = client.post(
            "/embed", json={"inputs": "a"}, headers={"origin": "https://any.example"}
        )
        assert "access-control-allow-origin" not in answer.headers


def test_web_pages_of_elsewhere_are_refused(encoder: SentenceEncoder) -> None:
    settings = Settings(allow_origins=("https://mine.example",))
    with TestClient(create_app(encoder, settings)) as client:
        for origin, status in (
            ("https://other.example", 403),
            ("null", 403),
            ("https://mine.example", 200),
            ("http://testserver", 200),
        ):
            found = client.post("/embed", json={"inputs": "a"}, headers={"origin": origin})
            assert found.status_code == status


def test_a_full_server_says_429_in_every_protocol(encoder: SentenceEncoder) -> None:
    settings = Settings(max_requests=0)
    with TestClient(create_app(encoder, settings)) as client:
        for path, body in (
            ("/embed", {"inputs": "a"}),
            ("/embed_all", {"inputs": "a"}),
            ("/v1/embeddings", {"model": "all-minilm", "input": "a"}),
            ("/api/embed", {"model": "all-minilm", "input": "a"}),
        ):
            answer = client.post(path, json=body)
            assert answer.status_code == 429
            assert int(answer.headers["retry-after"]) >= 1
        assert client.get("/ready").status_code == 503
        assert client.get("/health").status_code == 200  # a restart would not help
        assert client.get("/live").status_code == 200


def test_an_error_that_nobody_foresaw_is_in_the_protocols_form(encoder: SentenceEncoder) -> None:
    class Broken:
        dimension = encoder.dimension
        tokenize_texts = encoder.tokenize_texts
        with_default_prompt = encoder.with_default_prompt
        manifest = encoder.manifest

        def embed_tokens(self, tokens: Any) -> Any:
            raise MemoryError

    with TestClient(create_app(Broken())) as client:  # type: ignore[arg-type]  # as far as needed
        found = client.post("/v1/embeddings", json={"model": "all-minilm", "input": "a"})
        assert found.status_code == 500
        assert found.json()["error"]["message"] == "MemoryError"
        assert 'te_request_failure{err="500",method="/v1/embeddings"} 1.0' in (
            client.get("/metrics").text
        )
