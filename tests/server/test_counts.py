"""What was read of the texts is said in headers, in the log and in the metrics."""

import json
import logging
from typing import Any

import pytest

from minilm_onnx import SentenceEncoder

pytest.importorskip("starlette", reason="minilm-onnx[server] is not installed")

from starlette.testclient import TestClient

from minilm_onnx.server import Settings, create_app
from minilm_onnx.server.logs import JsonFormatter
from minilm_onnx.server.service import Service

LONG, UNKNOWN = "word " * 300, "\U0001f600 \U0001f601 \U0001f602"
TEXTS = ["a cat", LONG, LONG + "more", UNKNOWN]


@pytest.mark.parametrize(
    ("path", "body", "texts"),
    [
        ("/embed", {"inputs": TEXTS}, TEXTS),
        ("/", {"inputs": TEXTS}, TEXTS),
        ("/embed_all", {"inputs": TEXTS}, TEXTS),
        ("/tokenize", {"inputs": TEXTS}, TEXTS),
        ("/similarity", {"inputs": {"source_sentence": LONG, "sentences": TEXTS}}, [LONG, *TEXTS]),
        ("/v1/embeddings", {"model": "all-minilm", "input": TEXTS}, TEXTS),
        ("/api/embed", {"model": "all-minilm", "input": TEXTS}, TEXTS),
        ("/api/embed", {"model": "all-minilm", "input": "a cat"}, ["a cat"]),
        ("/api/embeddings", {"model": "all-minilm", "prompt": LONG}, [LONG]),
    ],
)
def test_truncated_and_unknown_texts_are_counted(
    client: Any,
    encoder: SentenceEncoder,
    caplog: pytest.LogCaptureFixture,
    path: str,
    body: dict[str, Any],
    texts: list[str],
) -> None:
    with caplog.at_level(logging.INFO, "minilm_onnx.server"):
        answer = client.post(path, json=body)
    assert answer.status_code == 200
    reports = encoder.inspect(texts)
    expected = {
        "tokens": sum(report.kept for report in reports),
        "truncated": sum(text.startswith(LONG) for text in texts),
        "unknown": texts.count(UNKNOWN),
    }
    names = ("x-compute-tokens", "x-truncated-texts", "x-unknown-texts")
    assert [answer.headers[name] for name in names] == [str(n) for n in expected.values()]
    line = json.loads(JsonFormatter().format(caplog.records[-1]))
    assert {field: line[field] for field in expected} == expected
    counted = client.get("/metrics").text.splitlines()
    assert f"minilm_texts_cut_total {float(expected['truncated'])}" in counted
    assert f"minilm_texts_unreadable_total {float(expected['unknown'])}" in counted


def test_a_request_without_texts_has_no_counts(
    client: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "minilm_onnx.server"):
        answer = client.get("/info")
    assert "x-truncated-texts" not in answer.headers
    line = json.loads(JsonFormatter().format(caplog.records[-1]))
    assert not {"tokens", "truncated", "unknown"} & line.keys()


@pytest.mark.parametrize(
    ("method", "path", "host", "status"),
    [
        ("GET", "/no/such", "localhost", 404),
        ("GET", "/embed", "localhost", 405),
        ("POST", "/embed", "pages.example", 403),
    ],
)
def test_a_request_that_no_path_answers_is_logged(
    encoder: SentenceEncoder,
    caplog: pytest.LogCaptureFixture,
    method: str,
    path: str,
    host: str,
    status: int,
) -> None:
    app = create_app(encoder, Settings(allow_hosts=()))
    with TestClient(app) as client, caplog.at_level(logging.INFO, "minilm_onnx.server"):
        assert client.request(method, path, headers={"host": host}).status_code == status
    line = json.loads(JsonFormatter().format(caplog.records[-1]))
    expected = {"event": "request", "method": method, "path": path, "status": status}
    assert {field: line[field] for field in expected} == expected


def test_what_is_held_is_counted_again_once_an_answer_is_taken(
    encoder: SentenceEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    monkeypatch.setattr(Service, "see", lambda service: seen.append(service.budget.held))
    with TestClient(create_app(encoder)) as client:
        client.post("/embed", json={"inputs": "a"})
    assert seen[-1] == 0  # of a worker that is not asked for its metrics, this is what is told


def test_metrics_have_the_types_that_they_are(client: Any) -> None:
    client.post("/embed", json={"inputs": "a"})
    client.post("/embed", json={"inputs": 1})
    lines = client.get("/metrics").text.splitlines()
    types = dict(line.split()[2:] for line in lines if line.startswith("# TYPE"))
    for name in ("te_request_count", "te_request_success", "te_request_failure"):
        assert types[name] == "counter"
        (sample,) = (line for line in lines if line.startswith(f"{name}{{"))
        assert float(sample.split()[-1]) == (2.0 if name.endswith("count") else 1.0)
    assert types["minilm_texts_cut_total"] == types["minilm_texts_unreadable_total"] == "counter"
    for name in ("te_queue_size", "minilm_queue_tokens", "minilm_held_bytes"):
        assert types[name] == "gauge"
    for name in ("te_request_duration", "te_embed_duration", "te_request_input_length"):
        assert types[name] == "histogram"
