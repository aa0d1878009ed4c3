"""A server in a process of its own, and the application without one."""

from collections.abc import Iterator
from typing import Any

import pytest

from minilm_onnx import SentenceEncoder
from tests.support.servers import free_port, start, stop


@pytest.fixture(scope="package")
def url() -> Iterator[str]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    process = start("--port", str(port), "--name", "my-model", where=url)
    yield url
    said = stop(process)
    first, *others = said.splitlines()
    assert first == f"serving on {url}; Ctrl-C ends it"
    assert len(others) == 5  # where clients find what; no warnings


@pytest.fixture
def client(encoder: SentenceEncoder) -> Iterator[Any]:
    """The application itself, without a server."""
    from starlette.testclient import TestClient

    from minilm_onnx.server import create_app

    with TestClient(create_app(encoder), raise_server_exceptions=False) as client:
        yield client
