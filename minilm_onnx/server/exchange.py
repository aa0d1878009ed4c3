"""A request over HTTP and its answer: its body in time, no work for who has gone, JSON back."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import orjson
from starlette.requests import Request
from starlette.responses import Response

from minilm_onnx.errors import describe, shorten
from minilm_onnx.server.batching import Embedded
from minilm_onnx.server.errors import GoneError, OverloadedError, RequestError
from minilm_onnx.server.service import Service
from minilm_onnx.text.tokens import TokenizedTexts
from minilm_onnx.vectors.quantization import truncate_embeddings

Given = TypeVar("Given")


async def read_body(request: Request, service: Service) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        RequestError: it is none, too large, or late.
        OverloadedError: too much was sent by others.
    """
    seconds = service.settings.body_s
    try:
        async with asyncio.timeout(seconds):
            data = await _read(request, service)
    except TimeoutError:
        raise RequestError(
            f"body: expected it within {seconds:g} s; send it at once", status=408, kind="late"
        ) from None
    try:
        body = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise RequestError(
            f"body: expected JSON, got something else ({shorten(str(error))})"
        ) from None
    if not isinstance(body, dict):
        raise RequestError(f"body: expected an object, got {describe(body)}")
    return body


async def _read(request: Request, service: Service) -> bytes:
    most = service.settings.max_body
    too_large = RequestError(
        f"body: expected at most {most} bytes, got more; send fewer", status=413, kind="size"
    )
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced[:20]) > most:
        raise too_large
    request.state.held = 0
    parts = []
    async for part in request.stream():
        request.state.held += len(part)
        service.held += len(part)
        if request.state.held > most:
            raise too_large
        if service.held > service.settings.max_held:
            raise OverloadedError(1)
        parts.append(part)
    return b"".join(parts)


def let_go(request: Request, service: Service) -> None:
    """Count the body of a request that is answered no more."""
    service.held -= getattr(request.state, "held", 0)


async def embedded(
    request: Request,
    service: Service,
    texts: Sequence[str],
    check: Callable[[TokenizedTexts], object] | None = None,
    dimensions: int | None = None,
) -> Embedded:
    """Embed texts while somebody waits for them; see `answered`.

    Args:
        request: whose texts they are.
        service: embeds them.
        texts: what to embed.
        check: called with their tokens; what it raises is the outcome.
        dimensions: components to keep of each vector, which has length 1 again; None for all.
    """
    found = await answered(request, service.batcher.embed(texts, check))
    if dimensions is None:
        return found
    return replace(found, vectors=truncate_embeddings(found.vectors, dimensions, normalize=True))


async def answered(request: Request, work: Awaitable[Given]) -> Given:
    """Wait for an answer, but no longer than somebody waits for it.

    Raises:
        GoneError: whoever asked has gone; the work is cancelled.
    """
    here = asyncio.current_task()
    assert here is not None  # a coroutine runs in one
    gone = asyncio.ensure_future(_gone(request))

    def give_up(done: "asyncio.Future[None]") -> None:
        here.cancel()

    gone.add_done_callback(give_up)
    try:
        return await work
    except asyncio.CancelledError:
        if not gone.done():
            raise
        here.uncancel()
        raise GoneError("the client closed the connection") from None
    finally:
        gone.remove_done_callback(give_up)
        gone.cancel()


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def as_json(content: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Give JSON; arrays of float32 in the shortest decimals that read back the same."""
    data = orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)
    return Response(data, status, headers, media_type="application/json")
