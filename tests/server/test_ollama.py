"""What programs that know Ollama ask beside vectors, and what they send that others do not."""

import json
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from minilm_onnx import SentenceEncoder

pytest.importorskip("starlette", reason="minilm-onnx[server] is not installed")
pytest.importorskip("httpx", reason="httpx is not installed")

from starlette.testclient import TestClient

from minilm_onnx.server import Settings, create_app


def embed(client: Any, **body: Any) -> Any:
    return client.post("/api/embed", json={"model": "all-minilm", **body})


@pytest.mark.parametrize("stream", [None, True, False])
def test_a_model_that_is_here_is_pulled_at_once(client: Any, stream: bool | None) -> None:
    body = {"model": "all-minilm"} if stream is None else {"model": "all-minilm", "stream": stream}
    answer = client.post("/api/pull", json=body)
    assert answer.status_code == 200
    steps = [json.loads(line)["status"] for line in answer.text.splitlines()]
    if stream is False:
        assert steps == ["success"]
    else:
        assert steps == ["pulling manifest", "success"]
        assert answer.headers["content-type"] == "application/x-ndjson"


def test_a_model_that_is_not_here_cannot_be_pulled(client: Any) -> None:
    begun, failed = client.post("/api/pull", json={"name": "llama3"}).text.splitlines()
    assert json.loads(begun) == {"status": "pulling manifest"}
    at_once = client.post("/api/pull", json={"name": "llama3", "stream": False})
    assert at_once.status_code == 404
    for said in (json.loads(failed), at_once.json()):
        assert said["error"].startswith("pull model manifest: file does not exist")
        assert "--name llama3" in said["error"]
    assert client.post("/api/pull", json={}).json() == {"error": "model is required"}


def test_the_version_is_one_that_programs_take(client: Any) -> None:
    numbers = client.get("/api/version").json()["version"].split(".")
    assert tuple(map(int, numbers)) >= (0, 11, 11)


def test_the_model_is_loaded_for_good(client: Any) -> None:
    (loaded,) = client.get("/api/ps").json()["models"]
    years = (datetime.fromisoformat(loaded["expires_at"]) - datetime.now(UTC)).days / 365
    assert years > 20  # "Forever" to Ollama's program
    assert loaded["context_length"] == 256


@pytest.mark.parametrize("dimensions", [0, -1, 384, 385, 100_000, None])
def test_dimensions_that_leave_nothing_out_change_nothing(
    client: Any, encoder: SentenceEncoder, dimensions: int | None
) -> None:
    (found,) = embed(client, input="a cat", dimensions=dimensions).json()["embeddings"]
    assert np.array_equal(np.float32(found), encoder.encode("a cat"))


@pytest.mark.parametrize("count", [0, 1, 4, 5, 8, 9, 32])
def test_more_texts_than_others_may_send_come_in_parts(
    encoder: SentenceEncoder, count: int
) -> None:
    texts = [f"text {place}" for place in range(count - 1)] + ["word " * 400] * (count > 0)
    with TestClient(create_app(encoder, Settings(max_texts=4))) as client:
        answer = embed(client, input=texts, dimensions=8)
        found = answer.json()
        assert len(found["embeddings"]) == count
        if count:
            expected = encoder.encode(texts, truncate_dim=8, normalize_embeddings=True)
            assert np.array_equal(np.float32(found["embeddings"]), expected)
        kept = sum(report.kept for report in encoder.inspect(texts))
        assert found["prompt_eval_count"] == kept
        assert answer.headers["x-compute-tokens"] == str(kept)
        refused = embed(client, input=texts, truncate=False)
        if count:
            assert refused.status_code == 400
            assert f"input[{count - 1}] has 402 tokens" in refused.json()["error"]


def test_parts_have_an_end(encoder: SentenceEncoder) -> None:
    with TestClient(create_app(encoder, Settings(max_texts=4))) as client:
        answer = embed(client, input=["a"] * 33)
        assert answer.status_code == 413
        assert "at most 32 texts, got 33" in answer.json()["error"]
        assert "--max-texts" in answer.json()["error"]


def test_an_empty_text_in_a_list_is_embedded_as_encode_does(
    client: Any, encoder: SentenceEncoder
) -> None:
    found = embed(client, input=["a cat", ""]).json()["embeddings"]
    assert np.array_equal(np.float32(found), encoder.encode(["a cat", ""]))


@pytest.mark.parametrize("wrong", [None, 3, ["b"], {"b": 1}])
def test_a_wrong_value_is_named_by_its_place(client: Any, wrong: object) -> None:
    answer = embed(client, input=["a", wrong])
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("invalid input type: input[1]")


@pytest.mark.parametrize("what", ["generate", "chat"])
def test_what_the_model_cannot_is_said_as_ollama_does(client: Any, what: str) -> None:
    answer = client.post(f"/api/{what}", json={"model": "all-minilm"})
    assert answer.status_code == 400
    assert answer.json() == {"error": f'"all-minilm" does not support {what}'}
    assert client.post(f"/api/{what}", json={"model": "llama3"}).status_code == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(("POST", "/api/create"), ("POST", "/api/copy"), ("POST", "/api/push")),
        *(("DELETE", "/api/delete"), ("POST", "/api/blobs/sha256:00")),
    ],
)
def test_models_are_not_changed(client: Any, method: str, path: str) -> None:
    answer = client.request(method, path, json={"model": "all-minilm"})
    assert answer.status_code == 403
    assert "--name" in answer.json()["error"]
    assert client.head("/api/blobs/sha256:00").status_code == 404


@pytest.mark.parametrize("path", ["/", "/api/version", "/api/tags", "/api/ps"])
def test_what_is_got_can_be_asked_for_by_head(client: Any, path: str) -> None:
    answer = client.head(path)
    assert (answer.status_code, answer.content) == (200, b"")


def test_a_key_is_not_needed_to_see_that_a_server_is_here(encoder: SentenceEncoder) -> None:
    with TestClient(create_app(encoder, Settings(api_keys=("secret",)))) as client:
        for method in ("GET", "HEAD"):
            for path in ("/", "/api/version", "/ping", "/health"):
                assert client.request(method, path).status_code == 200
            for path in ("/api/tags", "/api/ps", "/v1/models", "/info"):
                assert client.request(method, path).status_code == 401
        assert client.post("/", json={"inputs": "a"}).status_code == 401
        described = client.get("/openapi.json").json()["paths"]
        assert described["/"]["get"]["security"] == []
