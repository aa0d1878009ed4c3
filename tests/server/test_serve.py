"""The server: the real clients of three protocols, unmodified, and what goes wrong."""

import asyncio
import base64
import json
import logging
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minilm_onnx import InputError, SentenceEncoder
from minilm_onnx.cli import serve

pytest.importorskip("starlette", reason="minilm-onnx[server] is not installed")
pytest.importorskip("uvicorn", reason="minilm-onnx[server] is not installed")
httpx = pytest.importorskip("httpx", reason="httpx is not installed")

from minilm_onnx.server import Settings, create_app
from tests.conftest import documented
from tests.support.servers import can_connect, free_port, start, stop

TEXTS = ["How do I reset my password?", "Può ripetere?", "猫", "word " * 400]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    process = start("--port", str(port), "--name", "my-model", where=url)
    yield url
    said = stop(process)
    assert said == f"serving on {url}; Ctrl-C ends it\n"


@pytest.fixture
def client(encoder: SentenceEncoder) -> Iterator[Any]:
    """The application itself, without a server."""
    from starlette.testclient import TestClient

    with TestClient(create_app(encoder), raise_server_exceptions=False) as client:
        yield client


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
        assert "all-minilm" in [model.id for model in client.models.list()]
        assert client.models.retrieve("sentence-transformers/all-MiniLM-L6-v2").object == "model"
        with pytest.raises(openai.NotFoundError, match="no-such") as missing:
            client.embeddings.create(model="no-such", input="x")
        assert missing.value.code == "model_not_found"
        with pytest.raises(openai.BadRequestError, match="vocabulary"):
            client.embeddings.create(model="my-model", input=[[1, 2, 3]])
        with pytest.raises(openai.BadRequestError, match="empty"):
            client.embeddings.create(model="my-model", input=[""])


def test_ollama_client(url: str, encoder: SentenceEncoder) -> None:
    ollama = pytest.importorskip("ollama", reason="ollama is not installed")
    with ollama.Client(url) as client:
        answer = client.embed("all-minilm", TEXTS)
        assert np.array_equal(np.float32(answer.embeddings), encoder.encode(TEXTS))
        assert answer.prompt_eval_count == sum(report.kept for report in encoder.inspect(TEXTS))
        old = client.embeddings("all-minilm", "a cat")
        assert np.array_equal(np.float32(old.embedding), encoder.encode("a cat"))
        assert "all-minilm:latest" in [model.model for model in client.list().models]
        assert client.show("all-minilm").modelinfo["bert.embedding_length"] == 384
        assert client.ps().models
        with pytest.raises(ollama.ResponseError, match="not found") as missing:
            client.embed("no-such", "x")
        assert missing.value.status_code == 404
        with pytest.raises(ollama.ResponseError, match="exceeds the context length"):
            client.embed("all-minilm", "word " * 400, truncate=False)


def test_huggingface_client(url: str, encoder: SentenceEncoder) -> None:
    pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed")
    code = (
        "import huggingface_hub, json, sys\n"
        "found = huggingface_hub.InferenceClient(sys.argv[1]).feature_extraction('a cat')\n"
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
        other = of_ollama.OllamaEmbeddings(model="all-minilm", base_url=url)
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


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        ("/embed", {"inputs": ""}, 400, "cannot be empty"),
        ("/embed", {"inputs": []}, 400, "cannot be empty"),
        ("/embed", {"inputs": 3}, 400, "int 3"),
        ("/embed", {"inputs": ["a", None]}, 400, "inputs[1]"),
        ("/embed", {}, 400, "inputs"),
        ("/embed", {"inputs": "a", "dimensions": 999}, 400, "1 to 384"),
        ("/embed", {"inputs": "a", "normalize": False}, 422, "normalize"),
        ("/embed", {"inputs": "word " * 400, "truncate": False}, 413, "256 tokens"),
        ("/embed", {"inputs": ["a"] * 3000}, 413, "at most 2048"),
        ("/embed", {"inputs": "a", "prompt_name": "query"}, 422, "prompt_name"),
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
        ("/v1/embeddings", {"input": "a"}, 400, "model"),
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
        ("/info", {}, 405, "another method"),
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
    from starlette.testclient import TestClient

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
        assert client.options("/embed", headers=other).status_code == 400
    with TestClient(create_app(encoder)) as client:
        answer = client.post(
            "/embed", json={"inputs": "a"}, headers={"origin": "https://any.example"}
        )
        assert "access-control-allow-origin" not in answer.headers


def test_a_full_server_says_429_in_every_protocol(encoder: SentenceEncoder) -> None:
    from starlette.testclient import TestClient

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
        assert client.get("/live").status_code == 200


def test_it_mounts_in_another_application(encoder: SentenceEncoder) -> None:
    from starlette.applications import Starlette
    from starlette.routing import Mount
    from starlette.testclient import TestClient

    outer = Starlette(routes=[Mount("/embeddings", create_app(encoder))])
    with TestClient(outer) as client:
        found = client.post("/embeddings/embed", json={"inputs": "a cat"}).json()
        assert np.array_equal(np.float32(found), encoder.encode(["a cat"]))


def test_the_documented_way_works(encoder: SentenceEncoder) -> None:
    from starlette.testclient import TestClient

    found: dict[str, Any] = {}
    exec(documented("server.md", "mount"), found)  # the project's own document
    with TestClient(found["app"]) as client:
        body = {"model": "my-model", "input": "a cat"}
        (one,) = client.post("/embeddings/v1/embeddings", json=body).json()["data"]
        assert np.array_equal(np.float32(one["embedding"]), encoder.encode("a cat"))


def test_a_port_of_the_systems_choice_is_named(encoder: SentenceEncoder) -> None:
    command = [sys.executable, "-m", "minilm_onnx", "serve", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            where = process.stderr.readline().split()[2].rstrip(";")
            end = time.monotonic() + 60
            while not can_connect(where):
                assert time.monotonic() < end
            with httpx.Client(timeout=60) as client:
                found = client.post(f"{where}/embed", json={"inputs": "a cat"}).json()
        finally:
            process.kill()
    assert np.array_equal(np.float32(found[0]), encoder.encode("a cat"))


def test_a_unix_socket_a_key_file_and_a_log_without_the_texts(tmp_path: Path) -> None:
    keys, where = tmp_path / "keys.txt", str(tmp_path / "s.sock")
    keys.write_text("secret\n")
    process = start("--unix-socket", where, "--api-keys", str(keys), "--log-requests", where=where)
    with httpx.Client(transport=httpx.HTTPTransport(uds=where)) as client:
        assert client.post("http://x/embed", json={"inputs": "unheard"}).status_code == 401
        right = {"authorization": "Bearer secret"}
        asked = client.post("http://x/embed", json={"inputs": "unheard"}, headers=right)
        assert asked.status_code == 200
    said = stop(process)
    lines = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    assert [line["status"] for line in lines if line["path"] == "/embed"] == [401, 200]
    assert lines[-1]["tokens"] == "4"
    assert "unheard" not in said
    assert "secret" not in said


def test_what_was_accepted_is_answered_before_it_ends(encoder: SentenceEncoder) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    process = start("--port", str(port), where=url)
    texts = [f"text {number} " + "and so on " * 20 for number in range(600)]

    async def ask() -> Any:
        async with httpx.AsyncClient(timeout=60) as client:
            asked = asyncio.ensure_future(client.post(f"{url}/embed", json={"inputs": texts}))
            while (await client.get(f"{url}/metrics")).text.find("te_queue_size 1.0") < 0:
                pass
            process.send_signal(signal.SIGTERM)
            return (await asked).json()

    assert np.array_equal(np.float32(asyncio.run(ask())), encoder.encode(texts))
    process.communicate(timeout=60)
    assert process.returncode == 0


def test_an_address_that_cannot_be_had_is_an_error_in_words(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "minilm_onnx", "serve"]
        for arguments, code, words in (
            (("--port", port), 1, "expected to listen on"),
            (("--api-keys", str(tmp_path / "none")), 2, "--api-keys"),
        ):
            result = subprocess.run(
                [*command, *arguments], capture_output=True, text=True, check=False
            )
            assert result.returncode == code
            assert words in result.stderr.splitlines()[-1]


def test_a_base64_vector_is_little_endian_float32(client: Any, encoder: SentenceEncoder) -> None:
    body = {"model": "all-minilm", "input": "a cat", "encoding_format": "base64"}
    (one,) = client.post("/v1/embeddings", json=body).json()["data"]
    found = np.frombuffer(base64.b64decode(one["embedding"]), "<f4")
    assert np.array_equal(found, encoder.encode("a cat"))


def test_the_page_needs_nothing_from_elsewhere(client: Any) -> None:
    answer = client.get("/ui")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "http" not in answer.text.replace("http-equiv", "")
    for mark in ("<label for=", "aria-live", "prefers-color-scheme", 'lang="en"'):
        assert mark in answer.text


CHROMIUM = (
    *("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"),
    *("--no-first-run", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--virtual-time-budget=20000", "--dump-dom"),
)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")
def test_the_page_works_in_a_browser(url: str, tmp_path: Path, encoder: SentenceEncoder) -> None:
    """It starts with texts of its own."""
    command = [*CHROMIUM, f"--user-data-dir={tmp_path}", f"{url}/ui"]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    page = result.stdout
    texts = re.findall(r'<td class="text">(.*?)</td>', page)
    assert texts[:4] == [
        *("How do I reset my password?", "I forgot my login details"),
        *("Where is my parcel?", "The delivery has not arrived"),
    ]
    assert texts[4] == "Refunds are paid within ten days."
    vectors = encoder.encode(texts[:4])
    shown = [float(value) for value in re.findall(r"<td style=[^>]*>(-?\d\.\d\d)</td>", page)]
    np.testing.assert_allclose(shown[:16], (vectors @ vectors.T).ravel(), atol=0.0051)
    assert "sentence-transformers/all-MiniLM-L6-v2, int8, 256 tokens" in page
    assert page.count('role="alert" id="alike-error"></div>') == 1


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")
@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")
def test_the_page_is_used_by_keyboard_alone(url: str, encoder: SentenceEncoder) -> None:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    options = {"executable_path": shutil.which("chromium"), "args": ["--no-sandbox"]}
    with playwright.sync_playwright() as made, made.chromium.launch(**options) as browser:
        page = browser.new_page()
        said: list[str] = []
        page.on("console", lambda one: said.append(one.text) if one.type == "error" else None)
        page.goto(f"{url}/ui")

        def go_to(selector: str) -> None:
            """Press Tab until it has the focus."""
            for _ in range(12):
                if page.evaluate("(one) => document.activeElement.matches(one)", selector):
                    return
                page.keyboard.press("Tab")
            raise AssertionError(f"{selector} cannot be reached")

        def write(selector: str, text: str) -> None:
            go_to(selector)
            page.keyboard.press("Control+A")
            page.keyboard.press("Delete")
            page.keyboard.type(text)

        write("#sentences", "")
        go_to("#alike button")
        page.keyboard.press("Enter")
        playwright.expect(page.locator("#alike-error")).to_have_text("Write some texts first.")
        page.keyboard.press("Shift+Tab")
        page.keyboard.type("a cat\na dog\nan invoice")
        go_to("#alike button")
        page.keyboard.press("Space")
        playwright.expect(page.locator("#alike-result tbody tr")).to_have_count(3)
        playwright.expect(page.locator("#alike-error")).to_have_text("")
        write("#question", "which animal barks?")
        write("#list", "a bill\na dog")
        go_to("#question")  # Enter in a line sends the form
        page.keyboard.press("Enter")
        first = page.locator("#rank-result tbody tr").first
        playwright.expect(first.locator("td.text")).to_have_text("a dog")
        shown = float(first.locator("td").first.inner_text())
        question, dog = encoder.encode(["which animal barks?", "a dog"])
        assert shown == pytest.approx(float(question @ dog), abs=0.0051)
        assert said == []


@pytest.mark.skipif(sys.platform != "linux", reason="looks for its workers in /proc")
def test_a_worker_that_is_killed_is_replaced_and_nobody_gets_a_wrong_answer(
    encoder: SentenceEncoder,
) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    process = start("--port", str(port), "--workers", "2", where=url)
    texts = [f"text {number}" for number in range(20)]
    expected = encoder.encode(texts)

    def workers() -> set[int]:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        lines = {int(pid): Path(f"/proc/{pid}/cmdline").read_bytes() for pid in children}
        return {pid for pid, line in lines.items() if b"spawn_main" in line}

    def ask(number: int) -> bool:
        try:
            with httpx.Client(timeout=60) as client:
                answer = client.post(f"{url}/embed", json={"inputs": texts[number % 20]})
        except httpx.TransportError:  # of the worker that was killed
            return False
        assert answer.status_code == 200
        assert np.array_equal(np.float32(answer.json()[0]), expected[number % 20])
        return True

    assert all(ask(number) for number in range(5))
    before = workers()
    assert len(before) == 2
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(ask, number) for number in range(200)]
        os.kill(min(before), signal.SIGKILL)
        answered = sum(one.result() for one in asked)
    assert answered > 100
    end = time.monotonic() + 60
    while len(workers() - {min(before)}) < 2:
        assert time.monotonic() < end
        ask(0)
    assert all(ask(number) for number in range(20))
    with httpx.Client(timeout=60) as client:
        said = client.get(f"{url}/metrics").text
    # Counted by all workers, those that are gone too; what was being counted may be lost.
    (counted,) = re.findall(r'te_request_success{method="/embed"} ([\d.]+)', said)
    assert float(counted) >= answered + 20
    assert "te_queue_size 0.0" in said
    stop(process)


def test_every_name_that_is_listed_is_known(encoder: SentenceEncoder) -> None:
    from starlette.testclient import TestClient

    with TestClient(create_app(encoder, Settings(names=("nomic-embed-text",)))) as client:
        names = [model["name"] for model in client.get("/api/tags").json()["models"]]
        assert "nomic-embed-text:latest" in names
        for name in [*names, *(name.removesuffix(":latest") for name in names)]:
            answer = client.post("/api/embed", json={"model": name, "input": "a cat"})
            assert answer.status_code == 200
        for model in client.get("/v1/models").json()["data"]:
            body = {"model": model["id"], "input": "a cat"}
            assert client.post("/v1/embeddings", json=body).status_code == 200


def test_web_pages_of_elsewhere_are_refused(encoder: SentenceEncoder) -> None:
    from starlette.testclient import TestClient

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


def test_an_error_that_nobody_foresaw_is_in_the_protocols_form(encoder: SentenceEncoder) -> None:
    from starlette.testclient import TestClient

    class Broken:
        dimension = encoder.dimension
        tokenize_texts = encoder.tokenize_texts
        with_default_prompt = encoder.with_default_prompt

        def embed_tokens(self, tokens: Any) -> Any:
            raise MemoryError

    with TestClient(create_app(Broken())) as client:  # type: ignore[arg-type]  # as far as needed
        found = client.post("/v1/embeddings", json={"model": "all-minilm", "input": "a"})
        assert found.status_code == 500
        assert found.json()["error"]["message"] == "MemoryError"
        assert 'te_request_failure{err="500",method="/v1/embeddings"} 1.0' in (
            client.get("/metrics").text
        )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--port", "70000"], "0 to 65535"),
        (["--port", "x"], "--port"),
        (["--deadline", "0"], "more than 0"),
        (["--deadline", "nan"], "more than 0"),
    ],
)
def test_wrong_options_are_refused(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from minilm_onnx.cli import main

    assert main(["serve", *arguments]) == 2
    assert words in capsys.readouterr().err


def test_an_empty_list_of_keys_is_not_taken_for_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from minilm_onnx.cli import main

    for empty in ("", " , "):
        monkeypatch.setenv("MINILM_ONNX_API_KEYS", empty)
        assert main(["serve"]) == 2
        assert "got none" in capsys.readouterr().err


def test_a_socket_that_a_killed_server_left_is_taken_over(encoder: SentenceEncoder) -> None:
    with tempfile.TemporaryDirectory() as folder:  # a short path, as sockets need
        where = f"{folder}/s"
        first = start("--unix-socket", where, where=where)
        first.kill()
        first.communicate()
        stop(start("--unix-socket", where, where=where))


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
    many = {"model": "all-minilm", "input": ["a"] * 3000}
    assert client.post("/api/embed", json=many).status_code == 413
    assert client.post("/api/embed", json={"model": "no-such", "input": "a"}).status_code == 404


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


def test_a_line_of_the_log_is_json() -> None:
    from minilm_onnx.server.logs import JsonFormatter

    record = logging.makeLogRecord({"msg": "request", "levelname": "INFO", "path": "/embed"})
    line = json.loads(JsonFormatter().format(record))
    assert (line["event"], line["level"], line["path"]) == ("request", "info", "/embed")
    try:
        raise ValueError("reason")
    except ValueError:
        failed = logging.makeLogRecord({"msg": "failed", "exc_info": sys.exc_info()})
    assert "reason" in json.loads(JsonFormatter().format(failed))["error"]


def test_keys_come_from_a_file_or_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "keys"
    path.write_text("one\n\n two \n")
    assert serve._keys(path) == ("one", "two")
    path.write_text("\n")
    with pytest.raises(InputError, match="a key a line"):
        serve._keys(path)
    path.write_bytes(b"\xff")
    with pytest.raises(InputError, match="other bytes"):
        serve._keys(path)
    monkeypatch.setenv(serve.KEYS, "a,b,")
    assert serve._keys(None) == ("a", "b")


def test_a_worker_makes_its_own_application(encoder: SentenceEncoder) -> None:
    from starlette.testclient import TestClient

    with TestClient(serve.make_app(SentenceEncoder(threads=1), Settings(), False)) as client:
        found = client.post("/embed", json={"inputs": "a cat"}).json()
    assert np.array_equal(np.array(found, np.float32), encoder.encode(["a cat"]))
