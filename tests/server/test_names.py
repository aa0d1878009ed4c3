"""By which names the model can be called, in every protocol."""

from typing import Any

import pytest

from minilm_onnx import SentenceEncoder
from minilm_onnx.cli import main

pytest.importorskip("starlette", reason="minilm-onnx[server] is not installed")
pytest.importorskip("httpx", reason="httpx is not installed")

from starlette.testclient import TestClient

from minilm_onnx.server import Settings, create_app
from minilm_onnx.server.names import ALIASES, Names

ASKED: tuple[tuple[str, dict[str, Any]], ...] = (
    ("/v1/embeddings", {"input": "a cat"}),
    ("/api/embed", {"input": "a cat"}),
    ("/api/embeddings", {"prompt": "a cat"}),
    ("/api/show", {}),
    ("/api/pull", {"stream": False}),
)


def statuses(client: Any, name: str) -> set[int]:
    """What the model is answered by under a name, on every path that takes one."""
    asked = {client.post(path, json={"model": name, **body}).status_code for path, body in ASKED}
    return asked | {client.get(f"/v1/models/{name}").status_code}


def listed(client: Any) -> list[str]:
    """The names that lists of models have."""
    return [
        *(model["name"] for model in client.get("/api/tags").json()["models"]),
        *(model["model"] for model in client.get("/api/ps").json()["models"]),
        *(model["id"] for model in client.get("/v1/models").json()["data"]),
    ]


@pytest.mark.parametrize(
    "name",
    [
        *("all-minilm", "all-minilm:latest", "all-minilm:22m", "all-minilm:l6-v2"),
        *("All-MiniLM:L6-V2", "library/all-minilm", "registry.ollama.ai/library/all-minilm:22m"),
        *("all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2"),
        "sentence-transformers/all-MiniLM-L6-v2:latest",
    ],
)
def test_every_path_knows_every_name_of_the_model(client: Any, name: str) -> None:
    assert statuses(client, name) == {200}


@pytest.mark.parametrize(
    "name", ["all-minilm:33m", "all-minilm:l12-v2", "all-minilm:22m-l6-v2-fp16", "nomic-embed-text"]
)
def test_names_of_other_models_are_not_known(client: Any, name: str) -> None:
    assert statuses(client, name) == {404}


def test_lists_show_the_model_once(client: Any) -> None:
    assert listed(client) == ["all-minilm:latest", "all-minilm:latest", "all-MiniLM-L6-v2"]


@pytest.mark.parametrize(
    ("name", "tagged"),
    [
        ("mine", "mine:latest"),
        ("mine:v2", "mine:v2"),
        ("here.example:5000/mine", "here.example:5000/mine:latest"),
        ("acme/mine", "acme/mine:latest"),
    ],
)
def test_lists_show_the_first_name_that_the_operator_gives(
    encoder: SentenceEncoder, name: str, tagged: str
) -> None:
    with TestClient(create_app(encoder, Settings(names=(name, "other")))) as client:
        assert listed(client) == [tagged, tagged, name]
        for known in (*listed(client), "other", "other:latest", "all-minilm"):
            assert statuses(client, known) == {200}


def test_an_unknown_name_is_told_what_is_here_and_what_to_do(client: Any) -> None:
    for path, body in ASKED:
        said = client.post(path, json={"model": "llama3", **body}).text
        named = "all-minilm:latest" if path.startswith("/api") else "all-MiniLM-L6-v2"
        assert named in listed(client)
        assert f"this server has one model, {named}; " in said
        assert "--name llama3" in said
    assert "--name llama3" in client.get("/v1/models/llama3").text


def test_any_name_is_answered_where_the_operator_says_so(encoder: SentenceEncoder) -> None:
    with TestClient(create_app(encoder, Settings(any_name=True))) as client:
        assert statuses(client, "text-embedding-3-small") == {200}
        asked = {"model": "text-embedding-3-small", "input": "a cat"}
        for path in ("/v1/embeddings", "/api/embed"):
            assert client.post(path, json=asked).json()["model"] == "text-embedding-3-small"
        assert listed(client)[0] == "all-minilm:latest"


@pytest.mark.parametrize("name", ["", " "])
def test_an_empty_name_is_refused_at_the_start(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", "--name", name]) == 2
    assert "--name: expected a name" in capsys.readouterr().err


def test_another_model_does_not_answer_to_names_of_this_one(encoder: SentenceEncoder) -> None:
    class Other:
        class manifest:  # noqa: N801  # as far as needed
            model_id = "acme/bge-small"

    names = Names.of(Other(), Settings(names=("mine",)))  # type: ignore[arg-type]
    assert names.names == ("mine", "bge-small", "acme/bge-small")
    assert not any(map(names.know, ALIASES))
    assert Names.of(encoder, Settings()).names == ALIASES
