"""The ASGI application: which path is whose."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import ModuleType

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route

from minilm_onnx.encoder import SentenceEncoder
from minilm_onnx.server import ollama, openai, tei
from minilm_onnx.server.batching import Batcher, Gauges
from minilm_onnx.server.budget import Budget
from minilm_onnx.server.description import describe_api
from minilm_onnx.server.endpoint import Endpoint, Handler
from minilm_onnx.server.exchange import as_json
from minilm_onnx.server.hosts import HostCheck
from minilm_onnx.server.metrics import Metrics
from minilm_onnx.server.page import page
from minilm_onnx.server.service import Service
from minilm_onnx.server.settings import Settings

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
    service = Service(encoder, batcher, settings, metrics, Budget(settings.max_held))

    async def live(request: Request) -> Response:
        """Say that the process runs and the model is loaded, whatever the load."""
        return Response()

    async def ready(request: Request) -> Response:
        """Say whether another request would be taken."""
        return Response(status_code=200 if service.ready else 503)

    async def description(request: Request) -> Response:
        """Give the description of all paths."""
        return as_json(describe_api(settings, encoder.dimension, encoder.max_seq_length))

    async def count(request: Request) -> Response:
        service.see()
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
        Route(path, Endpoint(path, protocol, handler, service), methods=list(methods))
        for path, methods, protocol, handler in ROUTES
    ]
    routes += [
        Route("/health", live),
        Route("/ready", ready),
        Route("/live", live),
        Route("/metrics", count),
        Route("/openapi.json", description),
        Route("/ui", page),
    ]

    def refuse_host(path: str, message: str) -> Response:
        return as_json(_protocol_of(path).failed(403, "host", message, None), 403)

    middleware = []
    if settings.allow_hosts is not None:
        allowed = settings.allow_hosts
        middleware.append(Middleware(HostCheck, allowed=allowed, refuse=refuse_host))
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


def _protocol_of(path: str) -> ModuleType:
    if path.startswith("/v1"):
        return openai
    return ollama if path.startswith("/api") else tei
