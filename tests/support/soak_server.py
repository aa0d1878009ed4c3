"""Requests as in soak.py, to a server in its three protocols; some of clients that leave."""

import base64
import json
import random
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import numpy as np

from tests.support.servers import free_port, start, stop
from tests.support.soak import Soak

MODEL = "all-MiniLM-L6-v2"


class ServerSoak(Soak):
    """Requests against one server."""

    def __init__(self, port: int, pid: int) -> None:
        super().__init__()
        self.port, self.pid = port, pid
        self.url = f"http://127.0.0.1:{port}"
        self.client = httpx.Client(timeout=120)

    def kinds(self) -> list[Callable[[random.Random], int]]:
        return [
            *[self.openai, self.ollama, self.tei] * 4,
            *(self.states, self.similar, self.tokens, self.seen),
            *(self.refused, self.left, self.broken_off),
        ]

    def ask(self, path: str, body: Any) -> Any:
        answer = self.client.post(f"{self.url}{path}", json=body)
        if answer.status_code != 200:
            raise RuntimeError(f"{path}: {answer.status_code} {answer.text[:200]}")
        return answer.json()

    def places(self, draw: random.Random) -> list[int]:
        return [place for place in self.choose(draw) if self.texts[place]] or [0]

    def openai(self, draw: random.Random) -> int:
        places = self.places(draw)
        form = draw.choice(["float", "base64"])
        body = {"model": MODEL, "input": self.at(places), "encoding_format": form}
        found = [one["embedding"] for one in self.ask("/v1/embeddings", body)["data"]]
        if form == "base64":
            rows = [np.frombuffer(base64.b64decode(one), "<f4") for one in found]
            return self.same(places, np.stack(rows))
        return self.same(places, np.array(found, dtype=np.float32))

    def ollama(self, draw: random.Random) -> int:
        places = self.choose(draw)
        found = self.ask("/api/embed", {"model": "all-minilm", "input": self.at(places)})
        return self.same(places, np.array(found["embeddings"], dtype=np.float32))

    def tei(self, draw: random.Random) -> int:
        places = self.places(draw)[: draw.choice([1, 1, 1, 40])]
        found = self.ask("/embed", {"inputs": self.at(places)})
        return self.same(places, np.array(found, dtype=np.float32))

    def states(self, draw: random.Random) -> int:
        (place,) = self.places(draw)[:1]
        (found,) = self.ask("/embed_all", {"inputs": self.texts[place]})
        if np.shape(found) != (min(self.counts[place], 256), 384):
            self.wrong.append(f"embed_all gave another shape for {place}")
        return len(found)

    def similar(self, draw: random.Random) -> int:
        one, *others = [*self.places(draw), 0]
        inputs = {"source_sentence": self.texts[one], "sentences": self.at(others)}
        found = self.ask("/similarity", {"inputs": inputs})
        if not np.allclose(found, self.expected[others] @ self.expected[one], atol=1e-6):
            self.wrong.append("similarity gave other scores")
        return len(others) + 1

    def tokens(self, draw: random.Random) -> int:
        places = self.places(draw)
        found = self.ask("/tokenize", {"inputs": self.at(places)})
        if [len(one) for one in found] != [self.counts[place] for place in places]:
            self.wrong.append("tokenize gave other counts")
        return 0

    def seen(self, draw: random.Random) -> int:
        path = draw.choice(["/metrics", "/ui", "/info", "/v1/models", "/api/tags", "/health"])
        if self.client.get(f"{self.url}{path}").status_code != 200:
            self.wrong.append(f"{path} was not answered")
        return 0

    def refused(self, draw: random.Random) -> int:
        body = draw.choice([b"", b"{", b"[" * 10_000, b'{"inputs": 3}', b'{"inputs": ""}'])
        answer = self.client.post(f"{self.url}/embed", content=body)
        if answer.status_code != 400:
            self.wrong.append(f"{body[:20]!r} was answered with {answer.status_code}")
        return 0

    def left(self, draw: random.Random) -> int:
        """Ask much, and go."""
        body = json.dumps({"inputs": self.at(self.places(draw))}).encode()
        self.send(b"content-length: %d\r\n\r\n" % len(body) + body)
        return 0

    def broken_off(self, draw: random.Random) -> int:
        """Go in the middle of a request."""
        self.send(b'content-length: 1000\r\n\r\n{"inputs": "' + b"x" * draw.randrange(500))
        return 0

    def send(self, rest: bytes) -> None:
        with socket.create_connection(("127.0.0.1", self.port), timeout=120) as one:
            one.sendall(b"POST /embed HTTP/1.1\r\nhost: here\r\n" + rest)


@contextmanager
def soaking() -> Iterator[ServerSoak]:
    """Start a server, and end it at last."""
    port = free_port()
    process = start("--port", str(port), where=f"http://127.0.0.1:{port}")
    try:
        soak = ServerSoak(port, process.pid)
        with soak.client:
            yield soak
    finally:
        stop(process)
