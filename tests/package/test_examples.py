import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from minilm_onnx import SentenceEncoder

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(name: str) -> list[str]:
    found = subprocess.run(
        [sys.executable, str(EXAMPLES / name)], capture_output=True, text=True, check=True
    )
    assert found.stderr == ""
    return found.stdout.splitlines()


def test_the_faq_example_answers_what_it_can() -> None:
    lines = run("faq.py")
    assert len(lines) == 12
    assert "return a bicycle" in lines[1]
    assert "repair a laptop" in lines[5]
    assert "(no entry fits," in lines[8]


def test_the_unreadable_example_says_why() -> None:
    lines = run("unreadable.py")
    assert sum("of the tokens are unknown" in line for line in lines) == 5
    assert any("mostly unknown to the model" in line for line in lines)


def test_the_fastapi_example_answers_and_embeds(encoder: SentenceEncoder) -> None:
    pytest.importorskip("fastapi", reason="fastapi is not installed")
    pytest.importorskip("uvicorn", reason="minilm-onnx[server] is not installed")
    from starlette.testclient import TestClient

    found = runpy.run_path(str(EXAMPLES / "mount_in_fastapi.py"))
    with TestClient(found["app"]) as client:
        said = client.get("/ask", params={"question": "how do I get my money back?"}).json()
        assert "paid back" in said["answer"]
        assert client.get("/ask", params={"question": "qwertz"}).json()["answer"] is None
        body = {"model": "help-desk", "input": "a cat"}
        answer = client.post("/embeddings/v1/embeddings", json=body).json()
        assert np.array_equal(np.float32(answer["data"][0]["embedding"]), encoder.encode("a cat"))
        assert client.get("/embeddings/no").json()["error_type"] == "Validation"
        assert client.get("/embeddings/v1/no").json()["error"]["type"] == "invalid_request_error"
