"""CONTRIBUTING.md: the command and the protocol that it adds, added as the page says."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from minilm_onnx import SentenceEncoder, cli
from tests.support.documents import ROOT, blocks, run_python


def page(mark: str) -> dict[str, Any]:
    """What the marked block defines."""
    if not (ROOT / "CONTRIBUTING.md").exists():
        pytest.skip("not a checkout")
    (block,) = (one for one in blocks("CONTRIBUTING.md") if one.mark == mark)
    namespace: dict[str, Any] = {"__name__": mark}
    run_python(block, namespace)
    return namespace


def test_the_command_of_the_page_passes_its_tests(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ModuleType("minilm_onnx.cli.tokens")
    vars(command).update(page("command"))
    monkeypatch.setattr(cli, "COMMANDS", (*cli.COMMANDS, command))
    tests: list[Callable[[pytest.CaptureFixture[str]], None]] = [
        value for name, value in page("command test").items() if name.startswith("test_")
    ]
    assert len(tests) == 2
    for test in tests:
        test(capsys)


def test_the_protocol_of_the_page_gives_the_vectors_of_encode(
    monkeypatch: pytest.MonkeyPatch, encoder: SentenceEncoder
) -> None:
    pytest.importorskip("starlette", reason="minilm-onnx[server] is not installed")
    pytest.importorskip("httpx", reason="httpx is not installed")
    from starlette.testclient import TestClient

    from minilm_onnx.server import app

    protocol = ModuleType("minilm_onnx.server.words")
    vars(protocol).update(page("protocol"))
    route = ("/words/embed", ("POST",), protocol, protocol.embed)
    monkeypatch.setattr(app, "ROUTES", (*app.ROUTES, route))
    with TestClient(app.create_app(encoder)) as client:
        texts = ["a cat", "a dog"]
        answer = client.post("/words/embed", json={"texts": texts})
        assert np.array_equal(np.float32(answer.json()["vectors"]), encoder.encode(texts))
        answer = client.post("/words/embed", json={"texts": 3})
        assert answer.status_code == 400
        assert answer.json()["message"].startswith("texts: expected")
