"""A request over HTTP and its answer: its body in time, no work for who has gone, JSON back."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from minilm_onnx.errors import describe, shorten
from minilm_onnx.server.batching import Embedded
from minilm_onnx.server.bodies import check_values, read_bytes
from minilm_onnx.server.budget import COMPONENT
from minilm_onnx.server.errors import GoneError, RequestError
from minilm_onnx.server.service import Service
from minilm_onnx.text.tokens import TokenizedTexts
from minilm_onnx.vectors.quantization import truncate_embeddings

Given = TypeVar("Given")
# Bytes of an answer that are sent at a time.
PART = 2**16


async def read_body(request: Request, service: Service, fields: Collection[str]) -> dict[str, Any]:
    """Read a JSON object, and keep the fields that are looked at.

    Args:
        request: whose body it is.
        service: its limits.
        fields: what to keep; "a.b" is the field b of an object in the field a. What else the body
            has may take far more memory than its bytes.

    Raises:
        RequestError: it is none, too large, late, or packed in an unknown way.
        OverloadedError: others hold too much.
    """
    seconds = service.settings.body_s
    try:
        async with asyncio.timeout(seconds):
            data = await read_bytes(request, request.state.hold, service.settings.max_body)
    except TimeoutError:
        raise RequestError(
            f"body: expected the whole body within {seconds:g} s; send it faster",
            status=408,
            kind="late",
        ) from None
    check_values(data, service.settings.max_texts)
    try:
        body = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise RequestError(
            f"body: expected JSON, got something else ({shorten(str(error))})"
        ) from None
    if not isinstance(body, dict):
        raise RequestError(f"body: expected an object, got {describe(body)}")
    body = _only(body, fields)
    request.state.hold.set(sum(map(_weight, body.values())))
    return body


def _only(body: dict[str, Any], fields: Collection[str]) -> dict[str, Any]:
    """Keep some fields of an object, and of objects in it."""
    kept = {}
    for field in body.keys() & {field.partition(".")[0] for field in fields}:
        value = body[field]
        inner = [name.partition(".")[2] for name in fields if name.startswith(f"{field}.")]
        kept[field] = _only(value, inner) if inner and isinstance(value, dict) else value
    return kept


def _weight(value: object) -> int:
    """Count the bytes that a text takes, or texts in a list, or either in an object."""
    if isinstance(value, dict):
        return sum(
            sum(map(sys.getsizeof, one)) if isinstance(one, list) else sys.getsizeof(one)
            for one in value.values()
        )
    return sum(map(sys.getsizeof, value)) if isinstance(value, list) else sys.getsizeof(value)


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
    request.state.hold.add(len(texts) * service.encoder.dimension * COMPONENT)
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


class Answer(Response):
    """A response that is sent in small parts, each once the one before is taken.

    A server keeps what a client does not take: so it keeps one part, and what is sent is gone when
    `__call__` returns, or the client is.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        await send(
            {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        )
        for first in range(0, len(self.body), PART):
            part = bytes(self.body[first : first + PART])
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def as_json(content: object, status: int = 200, headers: dict[str, str] | None = None) -> Answer:
    """Give JSON; arrays of float32 in the shortest decimals that read back the same."""
    data = orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)
    return Answer(data, status, headers, media_type="application/json")
