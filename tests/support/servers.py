"""A server in a process of its own, for tests."""

import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# A question, an accent, another script, and a text that is cut.
TEXTS = ["How do I reset my password?", "Può ripetere?", "猫", "word " * 400]


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def start(
    *arguments: str, where: str, command: str = "serve", **options: Any
) -> "subprocess.Popen[str]":
    """Start a server, and wait until it answers."""
    process = subprocess.Popen(
        [sys.executable, "-m", "minilm_onnx", command, *arguments],
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )
    end = time.monotonic() + 60
    while not can_connect(where):
        assert process.poll() is None
        assert time.monotonic() < end
    return process


def can_connect(where: str) -> bool:
    family = socket.AF_UNIX if where.startswith("/") else socket.AF_INET
    address: Any = where if where.startswith("/") else ("127.0.0.1", int(where.rpartition(":")[2]))
    with socket.socket(family) as one:
        return one.connect_ex(address) == 0


def stop(process: "subprocess.Popen[str]") -> str:
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    return said


@contextmanager
def serving(app: Any, **options: Any) -> Iterator[int]:
    """Serve an application on a thread of this process, as `minilm-onnx serve` would; its port."""
    import uvicorn

    from minilm_onnx.server.connections import Connection

    config = uvicorn.Config(app, port=0, log_level="error", http=Connection, **options)
    with config.bind_socket() as listening:
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            port = int(listening.getsockname()[1])
            while not can_connect(f"http://127.0.0.1:{port}"):
                assert thread.is_alive()
            yield port
        finally:
            server.should_exit = True
            thread.join()


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=60)


def read_until_closed(one: socket.socket) -> bytes:
    """Read until the server closes."""
    parts = []
    try:
        while part := one.recv(2**16):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def send_until_closed(one: socket.socket, part: bytes) -> None:
    """Send the same again and again, until the server closes."""
    try:
        while True:
            one.sendall(part)
    except (BrokenPipeError, ConnectionResetError):
        pass


def read_head(one: socket.socket) -> bytes:
    """Read to the empty line behind an answer's fields; nothing where the connection was closed."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        part = one.recv(1)
        if not part:
            return b""
        head += part
    return head


def read_answer(one: socket.socket) -> tuple[int, bytes]:
    """Read one answer, and no byte of the next; 0 where the connection was closed without any."""
    head = read_head(one)
    if not head:
        return 0, b""
    (length,) = (
        int(line.split(b":")[1])
        for line in head.lower().split(b"\r\n")
        if line.startswith(b"content-length:")
    )
    body = b""
    while len(body) < length:
        part = one.recv(length - len(body))
        assert part, f"expected {length} bytes of a body, got {len(body)}"
        body += part
    return int(head.split()[1]), body
