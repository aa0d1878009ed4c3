"""What every protocol needs of a request: its body, its texts, and an answer that is not late."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson
from starlette.requests import Request
from starlette.responses import Response

from minilm_onnx.arrays import FloatArray, Matrix
from minilm_onnx.encoder import SentenceEncoder
from minilm_onnx.errors import MiniLMError, describe, shorten
from minilm_onnx.server.batching import Batcher, Embedded, OverloadedError
from minilm_onnx.server.metrics import Metrics
from minilm_onnx.server.settings import Settings
from minilm_onnx.vectors.quantization import truncate_embeddings

Given = TypeVar("Given")


@dataclass
class Service:
    """What requests are answered with.

    Attributes:
        encoder: makes the vectors.
        batcher: shares runs among requests.
        settings: what the operator decided.
        metrics: what is counted.
        held: bytes of the bodies of all requests that are here.
    """

    encoder: SentenceEncoder
    batcher: Batcher
    settings: Settings
    metrics: Metrics
    held: int = 0

    def headers(self, found: Embedded) -> dict[str, str]:
        """Count what was done, and give TEI's headers for it, in milliseconds."""
        tokens = [report.kept for report in found.reports]
        for count in tokens:
            self.metrics.lengths.observe(count)
        self.metrics.cut.inc(sum(report.cut for report in found.reports))
        self.metrics.unreadable.inc(sum(report.unreadable for report in found.reports))
        self.metrics.queue.observe(found.queue_s)
        self.metrics.inference.observe(found.inference_s)
        total = found.tokenization_s + found.queue_s + found.inference_s
        self.metrics.embed.observe(total)
        return {
            "x-compute-type": "cpu",
            "x-compute-time": f"{1000 * (total - found.queue_s):.0f}",
            "x-compute-tokens": str(sum(tokens)),
            "x-total-time": f"{1000 * total:.0f}",
            "x-tokenization-time": f"{1000 * found.tokenization_s:.0f}",
            "x-queue-time": f"{1000 * found.queue_s:.0f}",
            "x-inference-time": f"{1000 * found.inference_s:.0f}",
        }


class RequestError(MiniLMError):
    """A request that cannot be answered.

    Attributes:
        status: of HTTP.
        kind: a word that protocols name it by: "validation", "empty", "model", "size", "key".
        field: of the body, which is wrong; None for the whole.
    """

    def __init__(self, status: int, kind: str, message: str, field: str | None = None) -> None:
        """Say what is wrong."""
        super().__init__(message)
        self.status, self.kind, self.field = status, kind, field


class GoneError(MiniLMError):
    """Whoever asked has gone."""


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
            408, "late", f"body: expected it within {seconds:g} s; send it at once"
        ) from None
    try:
        body = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise RequestError(
            400, "validation", f"body: expected JSON, got something else ({shorten(str(error))})"
        ) from None
    if not isinstance(body, dict):
        raise RequestError(400, "validation", f"body: expected an object, got {describe(body)}")
    return body


async def _read(request: Request, service: Service) -> bytes:
    most = service.settings.max_body
    too_large = RequestError(
        413, "size", f"body: expected at most {most} bytes, got more; send fewer"
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


def texts_of(value: object, field: str, settings: Settings) -> list[str]:
    """Give the texts of a field: one str, or a list of some.

    Raises:
        RequestError: they are none, or too many.
    """
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list):
        raise RequestError(
            400,
            "validation",
            f"{field}: expected a string or a list of them, got {describe(value)}",
            field,
        )
    for place, text in enumerate(texts):
        if not isinstance(text, str):
            raise RequestError(
                400,
                "validation",
                f"{field}[{place}]: expected a string, got {describe(text)}",
                field,
            )
    if len(texts) > settings.max_texts:
        raise RequestError(
            413,
            "size",
            f"{field}: expected at most {settings.max_texts} texts, got {len(texts)}; send fewer",
            field,
        )
    return texts


def optional(body: dict[str, Any], field: str, kind: type[Given]) -> Given | None:
    """Give a field that may be missing or null.

    Raises:
        RequestError: it is of another type.
    """
    value = body.get(field)
    if value is None:
        return None
    if kind is int and isinstance(value, float) and value.is_integer():
        value = int(value)  # 8.0 is an integer in JSON's eyes
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise RequestError(
            400, "validation", f"{field}: expected {kind.__name__}, got {describe(value)}", field
        )
    return value


def dimensions_of(body: dict[str, Any], encoder: SentenceEncoder) -> int | None:
    """Give how many components are wanted, None for all.

    Raises:
        RequestError: there are not so many.
    """
    wanted = optional(body, "dimensions", int)
    if wanted is not None and not 1 <= wanted <= encoder.dimension:
        raise RequestError(
            400,
            "validation",
            f"dimensions: expected 1 to {encoder.dimension}, got {wanted}",
            "dimensions",
        )
    return wanted


def shortened(vectors: Matrix, wanted: int | None) -> FloatArray:
    """Give the first components of vectors, of length 1 again; all where None are wanted."""
    return vectors if wanted is None else truncate_embeddings(vectors, wanted, normalize=True)


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
