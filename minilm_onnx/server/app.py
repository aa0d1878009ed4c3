"""The ASGI application: which path is whose, and errors in each protocol's own form."""

import hmac
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Match, Route

from minilm_onnx.encoder import SentenceEncoder
from minilm_onnx.errors import InputError, MiniLMError, shorten
from minilm_onnx.server import ollama, openai, tei
from minilm_onnx.server.batching import Batcher, DeadlineError, Gauges, OverloadedError
from minilm_onnx.server.description import describe_api
from minilm_onnx.server.exchange import GoneError, RequestError, Service, as_json, let_go
from minilm_onnx.server.metrics import Metrics
from minilm_onnx.server.settings import Settings

Handler = Callable[[Request, Service], Awaitable[Response]]
LOG = logging.getLogger("minilm_onnx.server")
PAGE = Path(__file__).parent / "page.html"
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# What nginx answers to itself when a client has gone; nobody sees it.
GONE = 499

ROUTES: tuple[tuple[str, tuple[str, ...], ModuleType, Handler], ...] = (
    ("/v1/embeddings", ("POST",), openai, openai.embeddings),
    ("/v1/models", ("GET",), openai, openai.models),
    ("/v1/models/{name:path}", ("GET",), openai, openai.model),
    ("/", ("GET",), ollama, ollama.root),
    ("/api/version", ("GET",), ollama, ollama.version),
    ("/api/embed", ("POST",), ollama, ollama.embed),
    ("/api/embeddings", ("POST",), ollama, ollama.embeddings),
    ("/api/tags", ("GET",), ollama, ollama.tags),
    ("/api/ps", ("GET",), ollama, ollama.running),
    ("/api/show", ("POST",), ollama, ollama.show),
    ("/", ("POST",), tei, tei.embed),  # what huggingface_hub's client asks
    ("/embed", ("POST",), tei, tei.embed),
    ("/embed_all", ("POST",), tei, tei.embed_all),
    ("/similarity", ("POST",), tei, tei.similarity),
    ("/tokenize", ("POST",), tei, tei.tokenize),
    ("/info", ("GET",), tei, tei.info),
)


def create_app(
    encoder: SentenceEncoder | None = None, settings: Settings | None = None
) -> Starlette:
    """Make an application that speaks OpenAI's, Ollama's and TEI's protocols.

    It runs under any ASGI server, in one process and event loop, and mounts in a Starlette or
    FastAPI application: `app.mount("/embeddings", create_app())`.

    Args:
        encoder: makes the vectors; None for one of the bundled model.
        settings: limits, names, keys.
    """
    settings = settings or Settings()
    encoder = encoder or SentenceEncoder()
    metrics = Metrics()
    batcher = Batcher(
        encoder,
        max_requests=settings.max_requests,
        max_tokens=settings.max_tokens,
        deadline_s=settings.deadline_s,
        gauges=Gauges(metrics.batch_texts.observe, metrics.batch_tokens.observe),
    )
    service = Service(encoder, batcher, settings, metrics)

    async def live(request: Request) -> Response:
        """Say that the process runs."""
        return Response()

    async def ready(request: Request) -> Response:
        """Say whether another request would be taken."""
        return Response(status_code=200 if batcher.waiting < settings.max_requests else 503)

    async def page(request: Request) -> Response:
        """Give the page for a browser; it loads nothing from elsewhere."""
        return Response(
            PAGE.read_bytes(),
            media_type="text/html; charset=utf-8",
            headers={"content-security-policy": POLICY, "referrer-policy": "no-referrer"},
        )

    async def description(request: Request) -> Response:
        """Give the description of all paths."""
        return as_json(describe_api(settings, encoder.dimension, encoder.max_seq_length))

    async def count(request: Request) -> Response:
        metrics.see(batcher.waiting, batcher.waiting_tokens)
        return Response(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        await batcher.close()

    async def no_such_path(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 404
        inside = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
        protocol = _protocol_of(inside)
        word = {404: "expected a path of this server", 405: "expected another method"}
        message = f"{request.url.path}: {word.get(status, 'expected another request')}"
        known = [route for route in routes if route.matches(request.scope)[0] != Match.NONE]
        allowed = sorted({method for route in known for method in route.methods or ()})
        headers = {"allow": ", ".join(allowed)} if allowed else {}
        return as_json(protocol.failed(status, "path", message, None), status, headers)

    routes = [
        Route(path, _endpoint(path, protocol, handler, service), methods=list(methods))
        for path, methods, protocol, handler in ROUTES
    ]
    routes += [
        Route("/health", ready),
        Route("/ready", ready),
        Route("/live", live),
        Route("/metrics", count),
        Route("/openapi.json", description),
        Route("/ui", page),
    ]
    middleware = []
    if settings.allow_origins:
        middleware.append(
            Middleware(
                CORSMiddleware,
                allow_origins=list(settings.allow_origins),
                allow_methods=["GET", "POST"],
                allow_headers=["authorization", "content-type"],
            )
        )
    return Starlette(
        routes=routes,
        middleware=middleware,
        lifespan=lifespan,
        exception_handlers={404: no_such_path, 405: no_such_path},
    )


def _endpoint(
    path: str, protocol: ModuleType, handler: Handler, service: Service
) -> Callable[[Request], Awaitable[Response]]:
    metrics = service.metrics
    requests, success = metrics.requests.labels(path), metrics.success.labels(path)
    duration = metrics.duration.labels(path)

    async def endpoint(request: Request) -> Response:
        start = time.monotonic()
        requests.inc()
        response = await _answer(request, protocol, handler, service)
        seconds = time.monotonic() - start
        duration.observe(seconds)
        metrics.see(service.batcher.waiting, service.batcher.waiting_tokens)
        if response.status_code < 400:
            success.inc()
        else:
            metrics.failure.labels(path, str(response.status_code)).inc()
        if LOG.isEnabledFor(logging.INFO):
            # Never the texts: they are somebody's.
            LOG.info(
                "request",
                extra={
                    "path": path,
                    "method": request.method,
                    "status": response.status_code,
                    "ms": round(1000 * seconds, 1),
                    "tokens": response.headers.get("x-compute-tokens"),
                },
            )
        return response

    return endpoint


async def _answer(
    request: Request, protocol: ModuleType, handler: Handler, service: Service
) -> Response:
    """Answer, or say what is wrong in the protocol's own form."""
    headers: dict[str, str] = {}
    field = None
    try:
        _check_origin(request, service.settings)
        _check_key(request, service.settings)
        return await handler(request, service)
    except RequestError as error:
        status, kind, field, message = error.status, error.kind, error.field, str(error)
        if kind == "key":
            headers["www-authenticate"] = "Bearer"
        if status in (408, 413):
            headers["connection"] = "close"  # the rest of the body is not read
    except OverloadedError as error:
        status, kind, message = 429, "overloaded", str(error)
        headers["retry-after"] = str(error.retry_after)
    except DeadlineError as error:
        status, kind, message = 503, "deadline", str(error)
        headers["retry-after"] = "1"
    except (GoneError, ClientDisconnect) as error:
        status, kind, message = GONE, "gone", str(error)
    except InputError as error:
        status, kind, message = 400, "validation", str(error)
    except Exception as error:  # whatever it is, the client is told in its own form
        LOG.exception("failed")
        said = str(error) if isinstance(error, MiniLMError) else type(error).__name__
        status, kind, message = 500, "backend", said
    finally:
        let_go(request, service)
    return as_json(protocol.failed(status, kind, message, field), status, headers)


def _check_origin(request: Request, settings: Settings) -> None:
    """Raise RequestError where a web page of elsewhere asks, even if it cannot see the answer."""
    origin = request.headers.get("origin")
    if origin is None or "*" in settings.allow_origins or origin in settings.allow_origins:
        return
    if origin.partition("://")[2] != request.headers.get("host"):
        raise RequestError(
            403, "origin", f"origin: expected none, or one that is allowed, got {shorten(origin)}"
        )


def _check_key(request: Request, settings: Settings) -> None:
    """Raise RequestError unless one of the keys came; compared in a time that tells nothing."""
    if not settings.api_keys:
        return
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    # Headers come as latin-1, whatever bytes they were.
    came = given.encode("latin-1")
    fits = [hmac.compare_digest(came, key.encode()) for key in settings.api_keys]
    if scheme.lower() != "bearer" or not any(fits):
        raise RequestError(401, "key", "authorization: expected a bearer token that is known here")


def _protocol_of(path: str) -> ModuleType:
    if path.startswith("/v1"):
        return openai
    return ollama if path.startswith("/api") else tei
