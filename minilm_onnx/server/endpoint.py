"""Around every handler: access checks, metrics, and errors in the protocol's own form."""

import asyncio
import hmac
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import ModuleType

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from minilm_onnx.errors import InputError, MiniLMError, shorten
from minilm_onnx.server.budget import Hold
from minilm_onnx.server.errors import DeadlineError, GoneError, OverloadedError, RequestError
from minilm_onnx.server.exchange import as_json
from minilm_onnx.server.service import Service
from minilm_onnx.server.settings import Settings

Handler = Callable[[Request, Service], Awaitable[Response]]
LOG = logging.getLogger("minilm_onnx.server")
# What nginx answers to itself when a client has gone; nobody sees it.
GONE = 499
# Of an ASGI scope: whether the server ends.
ENDING = "minilm_onnx.ending"
# Fields of the log, and the headers that say the same to the client.
COUNTS = {
    "tokens": "x-compute-tokens",
    "truncated": "x-truncated-texts",
    "unknown": "x-unknown-texts",
}


@dataclass(frozen=True)
class Endpoint:
    """What answers the requests of a path, as an ASGI application.

    Attributes:
        path: for the metrics.
        protocol: the module whose `failed` gives errors their form.
        handler: answers a request that may ask.
        service: what it answers with.
        needs_key: whether a key must come, if there are any.
    """

    path: str
    protocol: ModuleType
    handler: Handler
    service: Service
    needs_key: bool = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, and count what it holds until its answer is taken."""
        request = Request(scope, receive, send)
        hold = request.state.hold = Hold(self.service.budget)
        try:
            response = await self._counted(request)
            await response(scope, receive, send)
        finally:
            hold.set(0)
            self.service.see()

    async def _counted(self, request: Request) -> Response:
        metrics, start = self.service.metrics, time.monotonic()
        metrics.requests.labels(self.path).inc()
        response = await _answer(request, self)
        seconds = time.monotonic() - start
        metrics.duration.labels(self.path).observe(seconds)
        if response.status_code < 400:
            metrics.success.labels(self.path).inc()
        else:
            metrics.failure.labels(self.path, str(response.status_code)).inc()
        if LOG.isEnabledFor(logging.INFO):
            counts = {
                field: int(response.headers[name])
                for field, name in COUNTS.items()
                if name in response.headers
            }
            ms = round(1000 * seconds, 1)
            log_request(request.scope, response.status_code, path=self.path, ms=ms, **counts)
        return response


def log_request(scope: Scope, status: int, **more: object) -> None:
    """Log a request; never its texts, which are somebody's."""
    known = {"path": shorten(scope["path"]), "method": scope["method"], "status": status}
    LOG.info("request", extra=known | more)


async def _answer(request: Request, endpoint: Endpoint) -> Response:
    """Answer, or say what is wrong in the protocol's own form."""
    protocol, service = endpoint.protocol, endpoint.service
    headers: dict[str, str] = {}
    field = None
    try:
        service.origins.check(request)
        if endpoint.needs_key:
            _check_key(request, service.settings)
        return await endpoint.handler(request, service)
    except RequestError as error:
        status, kind, field, message = error.status, error.kind, error.field, str(error)
        if kind == "key":
            headers["www-authenticate"] = "Bearer"
        if status in (408, 413):
            headers["connection"] = "close"  # there may be too much left of the body to read
        if status == 415:
            headers["accept-encoding"] = "gzip"
    except OverloadedError as error:
        status, kind, message = 429, "overloaded", str(error)
        headers["retry-after"] = str(error.retry_after)
    except DeadlineError as error:
        status, kind, message = 503, "deadline", str(error)
        headers["retry-after"] = "1"
    except (GoneError, ClientDisconnect) as error:
        status, kind, message = GONE, "gone", str(error)
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or ENDING not in request.scope:
            raise
        task.uncancel()
        status, kind = 503, "ending"
        message = "server: expected time to answer, got a signal to end; ask again once it runs"
    except InputError as error:
        status, kind, message = 400, "validation", str(error)
    except Exception as error:  # whatever it is, the client is told in its own form
        LOG.exception("failed")
        said = str(error) if isinstance(error, MiniLMError) else type(error).__name__
        status, kind, message = 500, "backend", said
    request.state.hold.set(0)  # the body is dropped
    return as_json(protocol.failed(status, kind, message, field), status, headers)


def _check_key(request: Request, settings: Settings) -> None:
    """Raise RequestError unless one of the keys came; compared in a time that tells nothing."""
    if not settings.api_keys:
        return
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    # Headers come as latin-1, whatever bytes they were.
    came = given.encode("latin-1")
    fits = [hmac.compare_digest(came, key.encode()) for key in settings.api_keys]
    if scheme.lower() != "bearer" or not any(fits):
        raise RequestError("authorization: expected a known bearer token", status=401, kind="key")
