"""What the paths of three protocols answer, wherever the application is mounted."""

import base64
from typing import Any

import numpy as np
import pytest

from minilm_onnx import SentenceEncoder
from tests.conftest import documented
from tests.support.servers import TEXTS

pytest.importorskip("starlette", reason="minilm-onnx[server] is not installed")
pytest.importorskip("httpx", reason="httpx is not installed")

from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient

from minilm_onnx.server import create_app


def test_openai_paths(client: Any, encoder: SentenceEncoder) -> None:
    body = {"model": "all-minilm", "input": TEXTS, "dimensions": 8}
    answer = client.post("/v1/embeddings", json=body).json()
    expected = encoder.encode(TEXTS, truncate_dim=8, normalize_embeddings=True)
    found = np.array([one["embedding"] for one in answer["data"]], np.float32)
    assert np.array_equal(found, expected)
    assert client.get("/v1/models").json()["object"] == "list"
    assert client.get("/v1/models/all-minilm").json()["id"] == "all-minilm"
    assert client.get("/v1/models/no-such").status_code == 404
    for wrong in ([1, 2], [[1, 2]], "", [], [""]):
        asked = client.post("/v1/embeddings", json={"model": "all-minilm", "input": wrong})
        assert asked.status_code == 400
    missing = client.post("/v1/embeddings", json={"model": "no-such", "input": "a"})
    assert missing.json()["error"]["code"] == "model_not_found"


def test_ollama_paths(client: Any, encoder: SentenceEncoder) -> None:
    assert client.get("/").text == "Ollama is running"
    assert client.head("/").status_code == 200
    assert set(client.get("/api/version").json()) == {"version"}
    names = [model["name"] for model in client.get("/api/tags").json()["models"]]
    assert "all-minilm:latest" in names
    assert client.get("/api/ps").json()["models"][0]["name"] in names
    shown = client.post("/api/show", json={"model": "all-minilm"}).json()
    assert shown["model_info"]["bert.context_length"] == encoder.max_seq_length
    body = {"model": "all-minilm", "input": TEXTS, "dimensions": 8}
    found = client.post("/api/embed", json=body).json()
    expected = encoder.encode(TEXTS, truncate_dim=8, normalize_embeddings=True)
    assert np.array_equal(np.array(found["embeddings"], np.float32), expected)
    empty: list[Any] = ["", []]
    for nothing in empty:
        body = {"model": "all-minilm", "input": nothing}
        assert client.post("/api/embed", json=body).json()["embeddings"] == []
    old = {"model": "all-minilm", "prompt": "a cat"}
    found = client.post("/api/embeddings", json=old).json()["embedding"]
    assert np.array_equal(np.array(found, np.float32), encoder.encode("a cat"))
    assert client.post("/api/embeddings", json={"model": "all-minilm"}).json() == {"embedding": []}
    long = {"model": "all-minilm", "input": "word " * 400, "truncate": False}
    assert client.post("/api/embed", json=long).status_code == 400
    assert client.post("/api/embed", json={"model": "no-such", "input": "a"}).status_code == 404


def test_tei_paths(client: Any, encoder: SentenceEncoder) -> None:
    assert client.get("/info").json()["model_type"] == {"embedding": {"pooling": "mean"}}
    found = client.post("/embed", json={"inputs": TEXTS[:2], "dimensions": 8}).json()
    expected = encoder.encode(TEXTS[:2], truncate_dim=8, normalize_embeddings=True)
    assert np.array_equal(np.float32(found), expected)
    answer = client.post("/embed", json={"inputs": "a cat", "dimensions": 384.0})
    assert answer.headers["x-compute-tokens"] == "4"
    (tokens,) = client.post("/tokenize", json={"inputs": "a cats"}).json()
    assert [token["id"] for token in tokens] == encoder.tokenizer.encode("a cats").ids
    assert (tokens[0]["special"], tokens[2]["text"], tokens[2]["start"]) == (True, "cats", 2)
    (states,) = client.post("/embed_all", json={"inputs": "a cat"}).json()
    assert np.array_equal(
        np.float32(states), encoder.encode("a cat", output_value="token_embeddings")
    )
    for path in ("/health", "/live", "/ready"):
        assert (client.get(path).status_code, client.get(path).content) == (200, b"")
    said = client.get("/metrics").text
    for name in (
        *("te_request_count", "te_request_success", "te_embed_duration_count"),
        *("te_request_input_length_count", "te_queue_size", "te_batch_next_size_bucket"),
        "te_batch_next_tokens_bucket",
    ):
        assert name in said
    assert 'te_request_success{method="/embed"} 2.0' in said


def test_a_base64_vector_is_little_endian_float32(client: Any, encoder: SentenceEncoder) -> None:
    body = {"model": "all-minilm", "input": "a cat", "encoding_format": "base64"}
    (one,) = client.post("/v1/embeddings", json=body).json()["data"]
    found = np.frombuffer(base64.b64decode(one["embedding"]), "<f4")
    assert np.array_equal(found, encoder.encode("a cat"))


def test_it_mounts_in_another_application(encoder: SentenceEncoder) -> None:
    outer = Starlette(routes=[Mount("/embeddings", create_app(encoder))])
    with TestClient(outer) as client:
        found = client.post("/embeddings/embed", json={"inputs": "a cat"}).json()
        assert np.array_equal(np.float32(found), encoder.encode(["a cat"]))


def test_the_documented_way_works(encoder: SentenceEncoder) -> None:
    found: dict[str, Any] = {}
    exec(documented("server.md", "mount"), found)  # the project's own document
    with TestClient(found["app"]) as client:
        body = {"model": "my-model", "input": "a cat"}
        (one,) = client.post("/embeddings/v1/embeddings", json=body).json()["data"]
        assert np.array_equal(np.float32(one["embedding"]), encoder.encode("a cat"))
