"""minilm-onnx mcp: an index as tools of an assistant, by the Model Context Protocol."""

import argparse
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from minilm_onnx.cli.listening import bound, listen
from minilm_onnx.cli.options import Subparsers, add_command, load_encoder, port
from minilm_onnx.errors import InputError
from minilm_onnx.index.store import is_there
from minilm_onnx.mcpserver.folders import Folders
from minilm_onnx.mcpserver.opening import open_connection
from minilm_onnx.mcpserver.sdk import check_sdk

if TYPE_CHECKING:
    from minilm_onnx.mcpserver.app import Server

# The only address: whoever reaches the server may search, and index where that is allowed.
HOST, PORT, PATH = "127.0.0.1", 8000, "/mcp"
# In which calls that are at work end, once the client has left or a signal has come: an index call
# ends with the passages that it embeds just then, and has lost nothing.
GRACE_SECONDS = 10


def add_parser(subparsers: Subparsers) -> None:
    """Add the subcommand."""
    parser = add_command(
        subparsers,
        run,
        "mcp",
        summary="an index as tools of an assistant, by the Model Context Protocol",
        description="Let an assistant (Claude, Cursor, VS Code, Zed and others) search a database "
        "that index made. This is a server for the Model Context Protocol. The assistant's program "
        "starts it and talks to it over stdin and stdout, or over HTTP on this machine. The "
        "database is only read, unless --allow-index names folders that clients may index.",
        examples=(
            "minilm-onnx mcp --db notes.db",
            "minilm-onnx mcp --db notes.db --allow-index notes",
            "minilm-onnx mcp --db notes.db --http --port 8000",
        ),
    )
    parser.add_argument("--db", type=Path, required=True, metavar="FILE", help="the database")
    parser.add_argument(
        "--allow-index",
        action="append",
        default=[],
        type=Path,
        metavar="FOLDER",
        help="let clients index files below this folder; hidden files, and links that lead out of "
        "it, are refused; can be repeated; default: the database is only read",
    )
    parser.add_argument(
        "--http",
        action="store_true",
        help=f"serve streamable HTTP on {HOST} instead, for programs on this machine",
    )
    parser.add_argument(
        "--port",
        type=port,
        metavar="N",
        help=f"port for --http; default: {PORT}; 0 for any free port",
    )


def run(options: argparse.Namespace) -> int:
    """Serve until the client closes stdin, or a signal comes."""
    if options.port is not None and not options.http:
        raise InputError("--port: expected --http with it, got stdin and stdout; add --http")
    if sys.stdin is None and not options.http:
        raise InputError("mcp: expected a client on stdin, got a closed one; or use --http")
    folders = Folders(options.allow_index) if options.allow_index else None
    if folders is None and not is_there(options.db):
        raise InputError(
            f"{options.db}: expected an index, got none; make one: minilm-onnx index, or let a "
            "client make it: --allow-index"
        )
    check_sdk()
    with ExitStack() as opened:
        make = partial(_server, options, folders, opened)
        if options.http:
            number = PORT if options.port is None else options.port
            with suppress(KeyboardInterrupt):  # it comes when all is answered
                _serve_http(make(), number, opened.close)
        else:
            with _ending_at_once(opened.close):
                _serve_stdio(make, opened.close)
    return 0


def _server(options: argparse.Namespace, folders: Folders | None, opened: ExitStack) -> "Server":
    """Make the server, which imports the SDK; what is to be closed at the end goes to `opened`."""
    from minilm_onnx.mcpserver.app import create_server
    from minilm_onnx.mcpserver.library import Library

    # The SDK draws boxes around warnings where rich is installed, unless there is a handler.
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    library = Library(options.db, partial(load_encoder, options), folders)
    opened.callback(library.close)
    return create_server(library)


@contextmanager
def _ending_at_once(leave: Callable[[], None]) -> Iterator[None]:
    """End at a signal: the SDK would wait until the thread that reads stdin has got a line."""

    def end(*_: object) -> None:
        try:
            leave()
        finally:
            os._exit(0)

    signals = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(one, end) for one in signals]
    try:
        yield
    finally:
        for one, handler in zip(signals, before, strict=True):
            signal.signal(one, handler)


def _end_soon(leave: Callable[[], None]) -> None:
    """Have calls that are at work end, and the process after a while whether they have or not."""
    timer = threading.Timer(GRACE_SECONDS, os._exit, (0,))
    timer.daemon = True  # so that it keeps nobody waiting
    timer.start()
    leave()


def _serve_stdio(make: "Callable[[], Server]", leave: Callable[[], None]) -> None:
    """Serve one client; the SDK is imported when it has had its first answer."""
    if sys.stdin.isatty():
        print("waiting for a client on stdin; Ctrl-C ends it", file=sys.stderr)
    opening = open_connection(sys.stdin.buffer, sys.stdout.buffer)
    if opening.line:
        import anyio

        try:
            anyio.run(make().run_opened, opening, partial(_end_soon, leave))
        except* BrokenPipeError:  # nobody reads stdout; a thread may still wait for a line of stdin
            os._exit(0)


def _serve_http(server: "Server", number: int, leave: Callable[[], None]) -> None:
    import uvicorn

    from minilm_onnx.server.running import Server as Listener

    with bound(HOST, number) as listening:
        where = f"http://{HOST}:{listening.getsockname()[1]}{PATH}"
        config = uvicorn.Config(
            server.streamable_http_app(host=HOST, streamable_http_path=PATH),
            log_level="warning",
            access_log=False,
            ws="none",
            proxy_headers=False,
            timeout_graceful_shutdown=GRACE_SECONDS,  # it begins later than that of _end_soon
        )
        said = f"serving on {where}; Ctrl-C ends it"
        announce = partial(print, said, file=sys.stderr, flush=True)
        begin = partial(listen, listening, where)
        ending = partial(_end_soon, leave)
        listener = Listener(config, begin, announce, leave, ending)
        # Streams that wait for news are cut off at the end, which uvicorn would call an error.
        logging.getLogger("uvicorn.error").addFilter(lambda _: not listener.should_exit)
        listener.run(sockets=[listening])
