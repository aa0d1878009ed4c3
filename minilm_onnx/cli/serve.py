"""minilm-onnx serve: the encoder behind HTTP, in the protocols that clients already speak."""

import argparse
import math
import os
import sys
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from minilm_onnx.cli.keys import KEYS, read_keys
from minilm_onnx.cli.listening import bound, bound_file, listen
from minilm_onnx.cli.options import (
    Subparsers,
    add_command,
    at_least_one,
    load_encoder,
    port,
)
from minilm_onnx.encoder import SentenceEncoder
from minilm_onnx.engine.cpus import available_cpus
from minilm_onnx.errors import InputError, importing

if TYPE_CHECKING:
    from minilm_onnx.server import Settings


def add_parser(subparsers: Subparsers) -> None:
    """Add the subcommand."""
    parser = add_command(
        subparsers,
        run,
        "serve",
        summary="a server that clients of OpenAI, Ollama and TEI can use",
        description="Serve embeddings over HTTP, in the protocols of OpenAI, Ollama and Text "
        "Embeddings Inference. Only this machine can reach the server, unless --host says "
        "otherwise. After SIGINT or SIGTERM it answers what it has accepted, and ends within a "
        "minute; a second SIGINT ends it at once.",
        examples=(
            "minilm-onnx serve",
            "minilm-onnx serve --port 11434 --name my-embeddings",
            "minilm-onnx serve --allow-origin 'http://localhost:*' --allow-origin 'app://*'",
            "minilm-onnx serve --host 0.0.0.0 --api-keys keys.txt --max-requests 256",
            "minilm-onnx serve --workers 2 --log-requests",
            "minilm-onnx serve --unix-socket /run/minilm.sock",
        ),
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        metavar="ADDRESS",
        help="address to listen on; default: 127.0.0.1",
    )
    parser.add_argument(
        "--port", type=port, default=8080, metavar="N", help="port to listen on; default: 8080"
    )
    parser.add_argument(
        "--unix-socket", metavar="FILE", help="listen on this socket instead of an address"
    )
    parser.add_argument(
        "--name",
        action="append",
        default=[],
        metavar="NAME",
        help="another name for the model in requests; can be repeated; lists of models show the "
        "first",
    )
    parser.add_argument(
        "--any-name",
        action="store_true",
        help="accept any model name in requests; without this, the name of another model is an "
        "error, because that model's vectors would be different",
    )
    parser.add_argument(
        "--api-keys",
        type=Path,
        metavar="FILE",
        help="file of keys, one per line; each request must have one of them; default: the keys in "
        f"{KEYS}, separated by commas, if it is set",
    )
    parser.add_argument(
        "--allow-origin",
        action="append",
        default=[],
        metavar="ORIGIN",
        help="allow requests from web pages of this origin, such as https://mine.example; * stands "
        "for the first part of a host (app://*) or for the port (http://localhost:*), and * alone "
        "for all origins; can be repeated",
    )
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="answer requests to this host name, for example behind a proxy; * stands for any part "
        "of it; can be repeated; default: only localhost and --host if it is 127.0.0.1 or ::1; any "
        "name on other addresses",
    )
    parser.add_argument(
        "--workers",
        type=at_least_one,
        default=1,
        metavar="N",
        help="number of processes, each with its own model and a share of the CPUs; default: 1",
    )
    parser.add_argument(
        "--max-requests",
        type=at_least_one,
        metavar="N",
        help="requests accepted at the same time; others get 429 at once; default: 1024",
    )
    parser.add_argument(
        "--max-texts",
        type=at_least_one,
        metavar="N",
        help="maximum texts in a request; eight times as many on Ollama's /api/embed, in parts of "
        "N; default: 2048",
    )
    parser.add_argument(
        "--deadline",
        type=_seconds,
        metavar="SECONDS",
        help="give up a request that has waited this long; default: 60",
    )
    parser.add_argument(
        "--log-requests",
        action="store_true",
        help="write a line of JSON to stderr for every request, without its texts",
    )


def run(options: argparse.Namespace) -> int:
    """Serve until a signal comes."""
    with importing("serve", "the packages of a server", "server"):
        import uvicorn

        from minilm_onnx.server import Settings
        from minilm_onnx.server.connections import Connection
        from minilm_onnx.server.hosts import is_loopback
        from minilm_onnx.server.metrics import COUNTERS
        from minilm_onnx.server.running import (
            GRACE_SECONDS,
            INTERRUPTED,
            KEEP_SECONDS,
            Server,
            Workers,
        )
    given = {
        "max_requests": options.max_requests,
        "max_texts": options.max_texts,
        "deadline_s": options.deadline,
    }
    settings = Settings(
        names=tuple(options.name),
        any_name=options.any_name,
        api_keys=read_keys(options.api_keys),
        allow_origins=tuple(options.allow_origin),
        **{name: value for name, value in given.items() if value is not None},
    )
    if options.threads is None and options.workers > 1:
        options.threads = max(1, available_cpus() // options.workers)
    file = options.unix_socket
    if file == "":  # of a variable that is not set: an address would be open to more than a file
        raise InputError("--unix-socket: expected a path, got an empty one; leave it out")
    place = bound_file(Path(file)) if file else bound(options.host, options.port)
    with ExitStack() as stack:
        listening = stack.enter_context(place)
        where = file or _base(options.host, listening.getsockname()[1])
        if not file and (options.allow_host or is_loopback(listening.getsockname()[0])):
            settings = replace(settings, allow_hosts=(options.host, *options.allow_host))
        encoder = load_encoder(options)
        said = _first_lines(where, encoder)
        if options.workers > 1:
            encoder.close()  # it was right, and workers get their own
        config = uvicorn.Config(
            partial(make_app, encoder, settings, options.log_requests),
            factory=True,
            workers=options.workers,
            log_level="warning",
            access_log=False,
            http=Connection,
            ws="none",
            proxy_headers=False,  # nothing here asks who the client is
            timeout_graceful_shutdown=GRACE_SECONDS,
            timeout_keep_alive=KEEP_SECONDS,
        )
        _allow_files()
        begin = partial(listen, listening, where)
        announce = partial(print, said, file=sys.stderr, flush=True)
        with suppress(KeyboardInterrupt):  # it comes when all is answered
            if options.workers > 1:
                with TemporaryDirectory(prefix="minilm-onnx-") as folder:
                    os.environ[COUNTERS] = folder
                    workers = Workers(config, [listening], begin, announce)
                    workers.run()
                if workers.at_once:
                    return INTERRUPTED
            else:
                Server(config, begin, announce, stack.close).run(sockets=[listening])
    return 0


def _base(host: str, port: int) -> str:
    """Give the address as clients name it."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _first_lines(where: str, encoder: SentenceEncoder) -> str:
    """Say where clients find what."""
    manifest = encoder.manifest
    precision = f" ({manifest.precision})" if manifest else ""
    name = manifest.model_id if manifest else encoder.folder.name
    base = where if where.startswith("http://") else "http://localhost"
    return (
        f"serving on {where}; Ctrl-C ends it\n"
        f"  model   {name}{precision}, {encoder.dimension} dimensions, up to "
        f"{encoder.max_seq_length} tokens a text\n"
        f"  OpenAI  {base}/v1\n"
        f"  Ollama  {base}\n"
        f"  TEI     {base}\n"
        f"  page    {base}/ui"
    )


def _seconds(word: str) -> float:
    """Read a time."""
    try:
        seconds = float(word)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError(f"expected more than 0 seconds, got {word!r}")
    return seconds


def _allow_files() -> None:
    """Take as many open files, and so connections, as the system lets this process have."""
    with suppress(ImportError, OSError, ValueError):  # not on Windows; macOS may not let it
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def make_app(encoder: SentenceEncoder, settings: "Settings", log: bool) -> Any:
    """Make the application, in the process that runs it."""
    from minilm_onnx.server import create_app
    from minilm_onnx.server.logs import log_requests
    from minilm_onnx.server.running import end_with_parent

    end_with_parent()
    if log:
        log_requests()
    return create_app(encoder, settings)
