"""Around every handler: access checks, metrics, and errors in the protocol's own form."""

import hmac
import logging
import time
from collections.abc import Awaitable, Callable
from types import ModuleType

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from minilm_onnx.errors import InputError, MiniLMError, shorten
from minilm_onnx.server.errors import DeadlineError, GoneError, OverloadedError, RequestError
from minilm_onnx.server.exchange import as_json, let_go
from minilm_onnx.server.service import Service
from minilm_onnx.server.settings import Settings

Handler = Callable[[Request, Service], Awaitable[Response]]
LOG = logging.getLogger("minilm_onnx.server")
# What nginx answers to itself when a client has gone; nobody sees it.
GONE = 499


def endpoint(
    path: str, protocol: ModuleType, handler: Handler, service: Service
) -> Callable[[Request], Awaitable[Response]]:
    """Give what answers the requests of a path.

    Args:
        path: for the metrics.
        protocol: the module whose `failed` gives errors their form.
        handler: answers a request that may ask.
        service: what it answers with.
    """
    metrics = service.metrics
    requests, success = metrics.requests.labels(path), metrics.success.labels(path)
    duration = metrics.duration.labels(path)

    async def counted(request: Request) -> Response:
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

    return counted


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
            f"origin: expected none, or one that is allowed, got {shorten(origin)}",
            status=403,
            kind="origin",
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
        raise RequestError(
            "authorization: expected a bearer token that is known here", status=401, kind="key"
        )
