"""The server keeps to its own description, whatever schemathesis makes of that."""

from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from minilm_onnx import SentenceEncoder

pytest.importorskip("starlette", reason="minilm-onnx[server] is not installed")
schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")

from starlette.testclient import TestClient

from minilm_onnx.server import Settings, create_app, ollama_models, openai, tei
from minilm_onnx.server.app import ROUTES

# What they are asked for is not here, whatever comes with it.
REFUSE = {
    openai.generate,
    ollama_models.generate,
    ollama_models.chat,
    ollama_models.keep,
    ollama_models.blob,
    tei.rerank,
    tei.predict,
    tei.embed_sparse,
}
APP = create_app(SentenceEncoder(), Settings(max_texts=8))
# Text Embeddings Inference refuses too many texts with 413, which schemathesis does not expect.
REFUSED = ["400", "401", "404", "405", "413", "422"]
CONFIG = schemathesis.Config.from_dict(
    {"checks": {"negative_data_rejection": {"expected-statuses": REFUSED}}}
)
SCHEMA = schemathesis.openapi.from_asgi("/openapi.json", APP, config=CONFIG)


@SCHEMA.parametrize()  # type: ignore[untyped-decorator]  # it is made at run time
@settings(
    max_examples=100,
    derandomize=True,
    suppress_health_check=list(HealthCheck),  # what is generated is schemathesis' affair
)
def test_every_answer_is_as_described(case: Any) -> None:
    case.call_and_validate()


def test_every_path_is_described_unless_it_only_refuses(encoder: SentenceEncoder) -> None:
    routes = {
        (path.replace(":path}", "}"), method): handler
        for path, methods, _, handler in ROUTES
        for method in methods
    }
    with TestClient(create_app(encoder)) as client:
        described = {
            (path, method.upper())
            for path, methods in client.get("/openapi.json").json()["paths"].items()
            for method in methods.keys() - {"parameters"}
        }
    assert described <= routes.keys()
    assert {routes[one] for one in routes.keys() - described} == REFUSE


def test_pages_of_elsewhere_are_described_too(encoder: SentenceEncoder) -> None:
    with TestClient(create_app(encoder)) as client:
        paths = client.get("/openapi.json").json()["paths"]
        assert len(paths) >= 15
        for path, methods in paths.items():
            for method in methods.keys() & {"get", "post"}:
                answer = client.request(method, path, headers={"origin": "http://elsewhere"})
                assert str(answer.status_code) in methods[method]["responses"], (method, path)
        answer = client.post("/embed", json={"inputs": "a"}, headers={"origin": "http://elsewhere"})
        assert answer.status_code == 403
