"""A stand-in for the hub, on this machine: what huggingface_hub asks of it to download a model."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread


def git_blob(data: bytes) -> str:
    """Give git's name of a file."""
    return hashlib.sha1(b"blob %d\0%b" % (len(data), data), usedforsecurity=False).hexdigest()


@contextmanager
def serving(
    folder: Path, model: str, revision: str, *, cut: str = "", hashes: bool = True
) -> Iterator[str]:
    """Serve a folder as a revision of a model; give the address for HF_ENDPOINT.

    Args:
        folder: of the model.
        model: its name.
        revision: the commit.
        cut: a file of which half is sent.
        hashes: whether the list of files has them.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.answer(body=True)

        def do_HEAD(self) -> None:
            self.answer(body=False)

        def answer(self, *, body: bool) -> None:
            path = self.path.partition("?")[0]
            if path == f"/api/models/{model}/revision/{revision}":
                siblings = [
                    {
                        "rfilename": one.relative_to(folder).as_posix(),
                        "blobId": git_blob(one.read_bytes()) if hashes else None,
                    }
                    for one in sorted(folder.rglob("*"))
                    if one.is_file()
                ]
                fields = {"id": model, "sha": revision, "siblings": siblings}
                self.send(json.dumps(fields).encode(), body, "application/json")
                return
            name = path.removeprefix(f"/{model}/resolve/{revision}/")
            if name == path or not (folder / name).is_file():
                self.send_response(404)
                self.send_header("X-Error-Code", "EntryNotFound")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send((folder / name).read_bytes(), body, "application/octet-stream", name == cut)

        def send(self, data: bytes, body: bool, kind: str, half: bool = False) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
            self.send_header("X-Repo-Commit", revision)
            self.end_headers()
            if body:
                self.wfile.write(data[: len(data) // 2] if half else data)
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
