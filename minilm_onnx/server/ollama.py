"""Ollama's API, as far as it is about embeddings; `ollama_models` has what is about models."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from minilm_onnx.arrays import Matrix
from minilm_onnx.errors import shorten
from minilm_onnx.server.batching import Embedded
from minilm_onnx.server.errors import RequestError
from minilm_onnx.server.exchange import as_json, embedded, read_body
from minilm_onnx.server.fields import name_text, optional, texts_of
from minilm_onnx.server.page import page, wants_page
from minilm_onnx.server.service import Service
from minilm_onnx.text.tokens import TokenizedTexts

# What is looked at of requests.
ASKED = ("model", "name", "input", "prompt", "truncate", "dimensions")
# The release of Ollama whose paths these follow, not our own, which is in /openapi.json and /info.
# Programs compare it before they ask: 0.2.6 was the first with /api/embed, 0.11.11 with its
# `dimensions`, and some refuse less than 0.6.4 (Raycast's extension).
VERSION = "0.32.0"
# Clients send all they have in one request, which Ollama takes; it is computed in so many parts.
MOST_PARTS = 8


async def root(request: Request, service: Service) -> Response:
    """GET or HEAD /: the page for a browser, what Ollama says for others."""
    if wants_page(request):
        answer = await page(request)
    else:
        answer = PlainTextResponse("Ollama is running")
    answer.headers["vary"] = "accept"
    return answer


async def version(request: Request, service: Service) -> Response:
    """GET /api/version."""
    return as_json({"version": VERSION})


async def embed(request: Request, service: Service) -> Response:
    """POST /api/embed."""
    body = await read_body(request, service, ASKED)
    name = name_of(body, service)
    wanted = optional(body, "dimensions", int)
    if wanted is not None and not 0 < wanted < service.encoder.dimension:
        wanted = None  # it cuts where that leaves less, and otherwise gives all
    truncate = optional(body, "truncate", bool)
    given = body.get("input")
    if given is None or given == "" or given == []:
        texts: list[str] = []
    else:
        try:
            texts = texts_of(given, "input", MOST_PARTS * service.settings.max_texts)
        except RequestError as error:
            if error.kind == "validation":
                raise RequestError(f"invalid input type: {error}", "input") from error
            raise
    check = partial(_refuse_cut, given) if truncate is False else None
    found = await _embedded_in_parts(request, service, texts, check, wanted)
    total = found.tokenization_s + found.queue_s + found.inference_s
    return as_json(
        {
            "model": name,
            "embeddings": list(found.vectors),
            "total_duration": round(total * 1e9),
            "load_duration": 0,
            "prompt_eval_count": sum(report.kept for report in found.reports),
        },
        headers=service.headers(found),
    )


async def embeddings(request: Request, service: Service) -> Response:
    """POST /api/embeddings, the older form."""
    body = await read_body(request, service, ASKED)
    name_of(body, service)
    prompt = optional(body, "prompt", str) or ""
    if not prompt:
        return as_json({"embedding": []})
    found = await embedded(request, service, [prompt])
    return as_json({"embedding": found.vectors[0]}, headers=service.headers(found))


def failed(status: int, kind: str, message: str, field: str | None) -> dict[str, Any]:
    """Give an error in this protocol's form."""
    return {"error": message}


def name_of(body: dict[str, Any], service: Service) -> str:
    """Give the name by which a request calls the model.

    Raises:
        RequestError: there is none, or it is another model's.
    """
    name = model_in(body)
    if not service.names.know(name):
        advice = service.names.advice(name, service.names.tagged)
        raise RequestError(
            f"model '{shorten(name)}' not found: {advice}",
            "model",
            status=404,
            kind="model",
        )
    return name


def model_in(body: dict[str, Any]) -> str:
    """Give the name in a body, `model` or, as older clients send it, `name`.

    Raises:
        RequestError: there is none.
    """
    name = optional(body, "model", str) or optional(body, "name", str)
    if not name:
        raise RequestError("model is required", "model")
    return name


async def _embedded_in_parts(
    request: Request,
    service: Service,
    texts: list[str],
    check: Callable[[int, TokenizedTexts], object] | None,
    dimensions: int | None,
) -> Embedded:
    """Embed texts, more than a request of another protocol may have; see `embedded`.

    `check` is called with the place of a part's first text, and the part's tokens.
    """
    most = service.settings.max_texts
    components = dimensions or service.encoder.dimension
    vectors: Matrix = np.empty((len(texts), components), dtype=np.float32)
    together = Embedded(vectors, [], 0.0, 0.0, 0.0)
    for start in range(0, len(texts), most):
        part = await embedded(
            request,
            service,
            texts[start : start + most],
            check and partial(check, start),
            dimensions,
        )
        vectors[start : start + most] = part.vectors
        together = Embedded(
            vectors,
            together.reports + part.reports,
            queue_s=together.queue_s + part.queue_s,
            inference_s=together.inference_s + part.inference_s,
            tokenization_s=together.tokenization_s + part.tokenization_s,
        )
    return together


def _refuse_cut(given: object, start: int, tokens: TokenizedTexts) -> None:
    for place, report in enumerate(tokens.reports, start):
        if report.cut:
            message = (
                "the input length exceeds the context length: "
                f"{name_text(given, 'input', place)} has {report.tokens} tokens, of which "
                f"{report.kept} are read"
            )
            raise RequestError(message, "input")
