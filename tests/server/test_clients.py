"""The real clients of three protocols, unmodified, get what encode gives."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from minilm_onnx import SentenceEncoder
from tests.support.servers import TEXTS

pytest.importorskip("starlette", reason="minilm-onnx[server] is not installed")
pytest.importorskip("uvicorn", reason="minilm-onnx[server] is not installed")
httpx = pytest.importorskip("httpx", reason="httpx is not installed")

from minilm_onnx.server.running import KEEP_SECONDS


def test_openai_client(url: str, encoder: SentenceEncoder) -> None:
    openai = pytest.importorskip("openai", reason="openai is not installed")
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none") as client:
        answer = client.embeddings.create(model="all-MiniLM-L6-v2", input=TEXTS)  # in base64
        found = np.array([one.embedding for one in answer.data], dtype=np.float32)
        assert np.array_equal(found, encoder.encode(TEXTS))
        assert answer.usage.prompt_tokens == sum(report.kept for report in encoder.inspect(TEXTS))
        plain = client.embeddings.create(
            model="my-model", input="a cat", encoding_format="float", dimensions=16
        )
        short = encoder.encode("a cat", truncate_dim=16, normalize_embeddings=True)
        assert np.array_equal(np.float32(plain.data[0].embedding), short)
        assert [model.id for model in client.models.list()] == ["my-model"]
        assert client.models.retrieve("sentence-transformers/all-MiniLM-L6-v2").object == "model"
        with pytest.raises(openai.NotFoundError, match="no-such") as missing:
            client.embeddings.create(model="no-such", input="x")
        assert missing.value.code == "model_not_found"
        with pytest.raises(openai.BadRequestError, match="vocabulary"):
            client.embeddings.create(model="my-model", input=[[1, 2, 3]])
        with pytest.raises(openai.BadRequestError, match=r"input\[1\]: expected at least one"):
            client.embeddings.create(model="my-model", input=["a", ""])


def test_ollama_client(url: str, encoder: SentenceEncoder) -> None:
    ollama = pytest.importorskip("ollama", reason="ollama is not installed")
    with ollama.Client(url) as client:
        answer = client.embed("all-minilm", TEXTS)
        assert np.array_equal(np.float32(answer.embeddings), encoder.encode(TEXTS))
        assert answer.prompt_eval_count == sum(report.kept for report in encoder.inspect(TEXTS))
        old = client.embeddings("all-minilm", "a cat")
        assert np.array_equal(np.float32(old.embedding), encoder.encode("a cat"))
        assert [model.model for model in client.list().models] == ["my-model:latest"]
        assert client.show("all-minilm").modelinfo["bert.embedding_length"] == 384
        (loaded,) = client.ps().models
        assert loaded.expires_at is not None
        assert loaded.expires_at.year > 2200
        assert client.pull("all-minilm").status == "success"
        assert [step.status for step in client.pull("my-model", stream=True)][-1] == "success"
        with pytest.raises(ollama.ResponseError, match="pull model manifest"):
            client.pull("llama3.2")
        with pytest.raises(ollama.ResponseError, match='"all-minilm" does not support chat'):
            client.chat("all-minilm", [{"role": "user", "content": "hello"}])
        with pytest.raises(ollama.ResponseError, match="not found") as missing:
            client.embed("no-such", "x")
        assert missing.value.status_code == 404
        with pytest.raises(ollama.ResponseError, match="exceeds the context length"):
            client.embed("all-minilm", "word " * 400, truncate=False)


def test_huggingface_client(url: str, encoder: SentenceEncoder) -> None:
    pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed")
    code = (
        "import huggingface_hub, json, sys\n"
        "client = huggingface_hub.InferenceClient(sys.argv[1])\n"
        "found = client.feature_extraction('a cat')\n"
        "same = client.feature_extraction('a cat', normalize=False, truncate=True)\n"
        "assert found.tolist() == same.tolist()\n"
        "print(json.dumps(found.tolist()))"
    )
    # In a process of its own, since the client asks nobody where that variable is set.
    environment = {key: value for key, value in os.environ.items() if key != "HF_HUB_OFFLINE"}
    result = subprocess.run(
        [sys.executable, "-c", code, url],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert np.array_equal(
        np.array(json.loads(result.stdout), np.float32), encoder.encode(["a cat"])
    )


def test_langchain_clients(url: str, encoder: SentenceEncoder) -> None:
    of_openai = pytest.importorskip("langchain_openai", reason="langchain-openai is not installed")
    of_ollama = pytest.importorskip("langchain_ollama", reason="langchain-ollama is not installed")
    with httpx.Client(timeout=60) as http:
        one = of_openai.OpenAIEmbeddings(
            model="all-MiniLM-L6-v2",
            base_url=f"{url}/v1",
            api_key="none",
            check_embedding_ctx_length=False,
            http_client=http,
        )
        other = of_ollama.OllamaEmbeddings(
            model="my-model", base_url=url, validate_model_on_init=True, dimensions=1024
        )
        with other._client:  # it has no close of its own
            for client in (one, other):
                found = client.embed_documents(TEXTS)
                assert np.array_equal(np.float32(found), encoder.encode(TEXTS))
                assert np.array_equal(
                    np.float32(client.embed_query("a cat")), encoder.encode("a cat")
                )


def test_llama_index_client(url: str, encoder: SentenceEncoder) -> None:
    llama = pytest.importorskip(
        "llama_index.embeddings.openai", reason="llama-index-embeddings-openai is not installed"
    )
    with httpx.Client(timeout=60) as http:
        client = llama.OpenAIEmbedding(
            model_name="all-MiniLM-L6-v2", api_base=f"{url}/v1", api_key="none", http_client=http
        )
        found = client.get_text_embedding("a cat")
    assert np.array_equal(np.float32(found), encoder.encode("a cat"))


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl(url: str, encoder: SentenceEncoder) -> None:
    body = json.dumps({"inputs": {"source_sentence": "a cat", "sentences": ["a dog", "a car"]}})
    command = [
        "curl",
        "--silent",
        "--fail",
        f"{url}/similarity",
        "-H",
        "content-type: application/json",
    ]
    result = subprocess.run([*command, "-d", body], capture_output=True, text=True, check=True)
    vectors = encoder.encode(["a cat", "a dog", "a car"])
    np.testing.assert_allclose(json.loads(result.stdout), vectors[1:] @ vectors[0], atol=1e-6)
    head = subprocess.run(
        ["curl", "--silent", "-I", url], capture_output=True, text=True, check=True
    )
    assert "200 OK" in head.stdout


def test_a_connection_is_kept_for_longer_than_clients_keep_it() -> None:
    """Or the server would close some just as they are asked on."""
    ours = httpx.Limits().keepalive_expiry
    assert ours is not None
    assert ours < KEEP_SECONDS


def test_many_at_once_get_the_bits_of_encode(url: str, encoder: SentenceEncoder) -> None:
    texts = [f"text {number} about it" + " and more" * (number % 40) for number in range(300)]

    async def ask() -> list[Any]:
        limits = httpx.Limits(max_connections=64)
        async with httpx.AsyncClient(limits=limits, timeout=60) as client:
            answers = await asyncio.gather(
                *(client.post(f"{url}/embed", json={"inputs": text}) for text in texts)
            )
        return [answer.json()[0] for answer in answers]

    assert np.array_equal(np.array(asyncio.run(ask()), np.float32), encoder.encode(texts))
