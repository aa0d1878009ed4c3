"""What clients of Text Embeddings Inference ask, as its own router answers it."""

from typing import Any

import numpy as np
import pytest

from minilm_onnx import SentenceEncoder

pytest.importorskip("starlette", reason="minilm-onnx[server] is not installed")
pytest.importorskip("httpx", reason="httpx is not installed")

from starlette.testclient import TestClient

from minilm_onnx.server import Settings, create_app


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("/v1/embeddings", {}),
        ("/v1/embeddings", {"model": None}),
        ("/v1/embeddings", {"model": ""}),
        ("/v1/embeddings", {"model": "tei"}),
        ("/v1/embeddings", {"model": "text-embeddings-inference"}),
        ("/embeddings", {}),
        ("/embeddings", {"model": "whatever"}),
    ],
)
def test_no_model_need_be_named(
    client: Any, encoder: SentenceEncoder, path: str, named: dict[str, Any]
) -> None:
    answer = client.post(path, json={"input": ["a cat"], **named})
    (one,) = answer.json()["data"]
    assert np.array_equal(np.float32(one["embedding"]), encoder.encode("a cat"))
    # As TEI does, /embeddings gives the name of what it serves.
    asked = named.get("model") if path == "/v1/embeddings" else None
    assert answer.json()["model"] == (asked or "all-MiniLM-L6-v2")


@pytest.mark.parametrize("path", ["/", "/embed", "/invocations"])
@pytest.mark.parametrize("further", [{}, {"normalize": False}, {"model": "x", "truncate": True}])
def test_the_vectors_are_the_same_on_every_path(
    client: Any, encoder: SentenceEncoder, path: str, further: dict[str, Any]
) -> None:
    found = client.post(path, json={"inputs": ["a cat", "a dog"], **further}).json()
    assert np.array_equal(np.float32(found), encoder.encode(["a cat", "a dog"]))


def test_without_normalize_what_is_left_of_a_vector_keeps_its_length(
    client: Any, encoder: SentenceEncoder
) -> None:
    body = {"inputs": "a cat", "dimensions": 8, "normalize": False}
    (found,) = client.post("/embed", json=body).json()
    assert np.array_equal(np.float32(found), encoder.encode("a cat")[:8])


@pytest.mark.parametrize(
    ("ids", "skip", "texts"),
    [
        ([101, 1037, 4937, 102], None, ["a cat"]),
        ([101.0, 1037.0, 4937.0], None, ["a cat"]),
        ([[101, 1037, 4937, 102], [1037, 3899]], True, ["a cat", "a dog"]),
        ([101, 1037, 4937, 102], False, ["[CLS] a cat [SEP]"]),
    ],
)
def test_token_ids_are_decoded(client: Any, ids: Any, skip: Any, texts: list[str]) -> None:
    body = {"ids": ids, "skip_special_tokens": skip}
    assert client.post("/decode", json=body).json() == texts


@pytest.mark.parametrize(
    ("ids", "status", "words"),
    [
        ([], 400, "`ids` cannot be empty"),
        ([[101], []], 400, "`ids[1]` cannot be empty"),
        (["a"], 400, "ids[0]"),
        ([True], 400, "ids[0]"),
        ([101, -1], 400, "ids[1]"),
        ([101, 0.5], 400, "ids[1]"),
        ([[101], [101, 30522]], 400, "ids[1][1]: expected a token id, 0 to 30521, got int 30522"),
        ([[101], 102], 400, "ids[1]"),
        ("a", 400, "ids: expected a list"),
        (None, 400, "ids is missing: expected a list"),
        ([101] * 16_385, 413, "at most 16384 tokens"),
    ],
)
def test_ids_that_are_none_are_named(client: Any, ids: Any, status: int, words: str) -> None:
    answer = client.post("/decode", json={"ids": ids})
    assert answer.status_code == status
    assert words in answer.json()["error"]


def test_what_is_tokenised_is_decoded_again(client: Any) -> None:
    texts = ["a cat", "how do i reset my password?"]
    tokens = client.post("/tokenize", json={"inputs": texts}).json()
    ids = [[token["id"] for token in one] for one in tokens]
    assert client.post("/decode", json={"ids": ids}).json() == texts


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("/rerank", {"query": "a", "texts": ["b"]}, "model is not a re-ranker model"),
        ("/predict", {"inputs": "a"}, "Model is not a classifier model"),
        ("/embed_sparse", {"inputs": "a"}, "Model is not an embedding model with SPLADE pooling"),
    ],
)
def test_what_wants_another_model_gets_tei_s_own_answer(
    client: Any, path: str, body: dict[str, Any], words: str
) -> None:
    answer = client.post(path, json=body)
    assert answer.status_code == 424
    assert answer.json()["error_type"] == "Backend"
    assert answer.json()["error"].startswith(f"Backend error: {words}")


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("/embed", {"inputs": ["a", "", "b", ""]}, "`inputs[1], inputs[3]` cannot be empty"),
        ("/embed", {"inputs": [""] * 9}, "inputs[4] and 4 more` cannot be empty"),
        ("/embed", {"inputs": ""}, "`inputs` cannot be empty"),
        ("/embed", {"inputs": []}, "`inputs` cannot be empty"),
        ("/embed_all", {"inputs": ["a", ""]}, "`inputs[1]` cannot be empty"),
        ("/tokenize", {"inputs": ["a", ""]}, "`inputs[1]` cannot be empty"),
        (
            "/similarity",
            {"inputs": {"source_sentence": "a", "sentences": ["b", ""]}},
            "`inputs.sentences[1]` cannot be empty",
        ),
        (
            "/similarity",
            {"inputs": {"source_sentence": "a", "sentences": ["b", 3]}},
            "inputs.sentences[1]: expected a string",
        ),
        ("/v1/embeddings", {"input": ["a", ""]}, "input[1]: expected at least one character"),
        ("/v1/embeddings", {"input": ["a", None]}, "input[1]: expected a string"),
        ("/v1/embeddings", {"input": ["a", [1, 2]]}, "input[1]: expected a string"),
    ],
)
def test_what_is_wrong_in_a_list_is_named_by_its_place(
    client: Any, path: str, body: dict[str, Any], words: str
) -> None:
    answer = client.post(path, json=body)
    assert answer.status_code == 400
    assert words in answer.text


@pytest.mark.parametrize(
    ("path", "body", "named"),
    [
        ("/embed", {"inputs": ["a", "word " * 300]}, "`inputs[1]`"),
        ("/embed", {"inputs": "word " * 300}, "`inputs`"),
        ("/embed_all", {"inputs": ["a", "word " * 300]}, "`inputs[1]`"),
    ],
)
def test_a_text_that_may_not_be_cut_is_named(
    client: Any, path: str, body: dict[str, Any], named: str
) -> None:
    answer = client.post(path, json={**body, "truncate": False})
    assert answer.status_code == 413
    assert f"{named} must have less than 256 tokens. Given: 302" in answer.json()["error"]


def test_of_two_compared_texts_the_long_one_is_named(client: Any) -> None:
    long = "word " * 300
    for inputs, named in (
        ({"source_sentence": long, "sentences": ["a"]}, "inputs.source_sentence"),
        ({"source_sentence": "a", "sentences": ["b", long]}, "inputs.sentences[1]"),
    ):
        body = {"inputs": inputs, "parameters": {"truncate": False}}
        assert f"`{named}` must have" in client.post("/similarity", json=body).json()["error"]


def test_what_is_said_of_the_server_has_every_field(client: Any) -> None:
    info = client.get("/info").json()
    assert info["served_model_name"] == "all-MiniLM-L6-v2"
    assert info["max_batch_requests"] is info["sha"] is info["docker_label"] is None
    assert client.get("/ping").status_code == 200
    assert client.get("/api-doc/openapi.json").json() == client.get("/openapi.json").json()


def test_the_limit_of_texts_is_the_operators(encoder: SentenceEncoder) -> None:
    with TestClient(create_app(encoder, Settings(max_texts=2))) as client:
        assert client.get("/info").json()["max_client_batch_size"] == 2
        for path, field in (("/embed", "inputs"), ("/v1/embeddings", "input")):
            assert client.post(path, json={field: ["a"] * 2}).status_code == 200
            refused = client.post(path, json={field: ["a"] * 3})
            assert refused.status_code == 413
            assert "--max-texts" in refused.text


def test_the_page_about_the_api_shows_all_paths_and_loads_nothing(client: Any) -> None:
    answer = client.get("/docs")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    for mark in ("<script", "src=", "http:", "https:"):
        assert mark not in answer.text
    described = client.get("/openapi.json").json()
    for path, methods in described["paths"].items():
        for method in methods.keys() & {"get", "post"}:
            assert f"<code>{method.upper()} {path}</code>" in answer.text
