"""The ASGI application: which path is whose."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import ModuleType

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import Scope

from minilm_onnx.encoder import SentenceEncoder
from minilm_onnx.server import ollama, ollama_models, openai, tei, tei_tokens
from minilm_onnx.server.batching import Batcher, Gauges
from minilm_onnx.server.budget import Budget
from minilm_onnx.server.description import describe_api
from minilm_onnx.server.drain import Drain
from minilm_onnx.server.endpoint import Endpoint, Handler, log_request
from minilm_onnx.server.errors import RequestError
from minilm_onnx.server.exchange import as_json
from minilm_onnx.server.hosts import HostCheck
from minilm_onnx.server.metrics import Metrics
from minilm_onnx.server.names import Names
from minilm_onnx.server.origins import CrossOrigin, Origins
from minilm_onnx.server.page import as_page, page
from minilm_onnx.server.reference import reference_page
from minilm_onnx.server.service import Service
from minilm_onnx.server.settings import Settings

Routes = tuple[tuple[str, tuple[str, ...], ModuleType, Handler], ...]
ROUTES: Routes = (
    ("/v1/embeddings", ("POST",), openai, openai.embeddings),
    ("/v1/models", ("GET",), openai, openai.models),
    ("/v1/models/{name:path}", ("GET",), openai, openai.model),
    ("/v1/chat/completions", ("POST",), openai, openai.generate),
    ("/v1/completions", ("POST",), openai, openai.generate),
    ("/v1/responses", ("POST",), openai, openai.generate),
    ("/", ("GET",), ollama, ollama.root),
    ("/api/version", ("GET",), ollama, ollama.version),
    ("/api/embed", ("POST",), ollama, ollama.embed),
    ("/api/embeddings", ("POST",), ollama, ollama.embeddings),
    ("/api/tags", ("GET",), ollama, ollama_models.tags),
    ("/api/ps", ("GET",), ollama, ollama_models.running),
    ("/api/show", ("POST",), ollama, ollama_models.show),
    ("/api/pull", ("POST",), ollama, ollama_models.pull),
    ("/api/generate", ("POST",), ollama, ollama_models.generate),
    ("/api/chat", ("POST",), ollama, ollama_models.chat),
    ("/api/create", ("POST",), ollama, ollama_models.keep),
    ("/api/copy", ("POST",), ollama, ollama_models.keep),
    ("/api/push", ("POST",), ollama, ollama_models.keep),
    ("/api/delete", ("DELETE",), ollama, ollama_models.keep),
    ("/api/blobs/{digest}", ("POST",), ollama, ollama_models.keep),
    ("/api/blobs/{digest}", ("HEAD",), ollama, ollama_models.blob),
    ("/", ("POST",), tei, tei.embed),  # what huggingface_hub's client asks
    ("/embed", ("POST",), tei, tei.embed),
    ("/invocations", ("POST",), tei, tei.embed),  # Amazon SageMaker's, as /ping
    ("/embeddings", ("POST",), openai, openai.any_model_embeddings),
    ("/embed_all", ("POST",), tei, tei.embed_all),
    ("/similarity", ("POST",), tei, tei.similarity),
    ("/tokenize", ("POST",), tei, tei_tokens.tokenize),
    ("/decode", ("POST",), tei, tei_tokens.decode),
    ("/rerank", ("POST",), tei, tei.rerank),
    ("/predict", ("POST",), tei, tei.predict),
    ("/embed_sparse", ("POST",), tei, tei.embed_sparse),
    ("/info", ("GET",), tei, tei.info),
)
# They say no more than that a server is here, which programs ask before they have a key.
OPEN = (ollama.root, ollama.version)


def create_app(
    encoder: SentenceEncoder | None = None, settings: Settings | None = None
) -> Starlette:
    """Make an application that speaks OpenAI's, Ollama's and TEI's protocols.

    It runs under any ASGI server, in one process and event loop, and mounts in a Starlette or
    FastAPI application: `app.mount("/embeddings", create_app())`.

    Args:
        encoder: the encoder to use; None for one with the bundled model.
        settings: limits, names and keys; None for the defaults.
    """
    settings = settings or Settings()
    encoder = encoder or SentenceEncoder()
    metrics, origins = Metrics(), Origins(settings.allow_origins)
    batcher = Batcher(
        encoder,
        max_requests=settings.max_requests,
        max_tokens=settings.max_tokens,
        deadline_s=settings.deadline_s,
        gauges=Gauges(metrics.batch_texts.observe, metrics.batch_tokens.observe),
    )
    names, budget = Names.of(encoder, settings), Budget(settings.max_held)
    service = Service(encoder, batcher, settings, metrics, budget, names, origins)

    async def live(request: Request) -> Response:
        """Say that the process runs and the model is loaded, whatever the load."""
        return Response()

    async def ready(request: Request) -> Response:
        """Say whether another request would be taken."""
        return Response(status_code=200 if service.ready else 503)

    async def description(request: Request) -> Response:
        """Give the description of all paths."""
        return as_json(describe_api(service))

    async def reference(request: Request) -> Response:
        """Give the same as a page for a browser."""
        return as_page(reference_page(describe_api(service)))

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
        try:
            origins.check(request)  # whoever asks beforehand by OPTIONS hears why it may not
        except RequestError as refused:
            said = protocol.failed(refused.status, refused.kind, str(refused), None)
            log_request(request.scope, refused.status)
            return as_json(said, refused.status)
        known = [route for route in routes if route.matches(request.scope)[0] != Match.NONE]
        allowed = sorted({method for route in known for method in route.methods or ()})
        headers = {"allow": ", ".join(allowed)} if allowed else {}
        message = f"unknown path {request.url.path}; see /docs"
        if status == 405:
            message = f"{request.url.path}: expected {headers['allow']}, got {request.method}"
        log_request(request.scope, status)
        return as_json(protocol.failed(status, "path", message, None), status, headers)

    routes = [
        Route(
            path,
            Endpoint(path, protocol, handler, service, needs_key=handler not in OPEN),
            methods=list(methods),
        )
        for path, methods, protocol, handler in ROUTES
    ]
    routes += [
        Route("/health", live),
        Route("/ready", ready),
        Route("/ping", live),
        Route("/live", live),
        Route("/metrics", count),
        Route("/openapi.json", description),
        Route("/api-doc/openapi.json", description),  # where Text Embeddings Inference has it
        Route("/docs", reference),
        Route("/ui", page),
    ]

    def refuse_host(scope: Scope, message: str) -> Response:
        log_request(scope, 403)
        return as_json(_protocol_of(scope["path"]).failed(403, "host", message, None), 403)

    middleware = [Middleware(Drain)]
    if settings.allow_hosts is not None:
        allowed = settings.allow_hosts
        middleware.append(Middleware(HostCheck, allowed=allowed, refuse=refuse_host))
    if settings.allow_origins:
        middleware.append(Middleware(CrossOrigin, origins))
    return Starlette(
        routes=routes,
        middleware=middleware,
        lifespan=lifespan,
        exception_handlers={404: no_such_path, 405: no_such_path},
    )


def _protocol_of(path: str) -> ModuleType:
    if path.startswith("/v1") or path == "/embeddings":
        return openai
    return ollama if path.startswith("/api") else tei
