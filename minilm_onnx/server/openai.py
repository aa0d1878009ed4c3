"""OpenAI's /v1/embeddings and /v1/models, and Text Embeddings Inference's way to call them."""

import base64
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from minilm_onnx.arrays import FloatArray
from minilm_onnx.errors import shorten
from minilm_onnx.server.errors import RequestError
from minilm_onnx.server.exchange import as_json, embedded, read_body
from minilm_onnx.server.fields import dimensions_of, name_empty, optional, texts_of
from minilm_onnx.server.names import PLACEHOLDERS
from minilm_onnx.server.service import Service

# What is looked at of a request.
ASKED = ("model", "input", "encoding_format", "dimensions")
REQUEST, SERVER = "invalid_request_error", "server_error"
KINDS = {429: "rate_limit_error"}
CODES = {"key": "invalid_api_key", "model": "model_not_found", "overloaded": "rate_limit_exceeded"}


async def embeddings(request: Request, service: Service) -> Response:
    """POST /v1/embeddings."""
    body = await read_body(request, service, ASKED)
    return await _embed(request, service, body, _model_of(body, service))


async def any_model_embeddings(request: Request, service: Service) -> Response:
    """POST /embeddings, of Text Embeddings Inference alone: whatever model is asked for."""
    body = await read_body(request, service, ASKED)
    return await _embed(request, service, body, service.names.listed)


async def models(request: Request, service: Service) -> Response:
    """GET /v1/models."""
    return as_json({"object": "list", "data": [_model(service.names.listed)]})


async def model(request: Request, service: Service) -> Response:
    """GET /v1/models/NAME."""
    name = request.path_params["name"]
    if not service.names.know(name):
        raise _no_such_model(name, service)
    return as_json(_model(name))


async def generate(request: Request, service: Service) -> Response:
    """POST /v1/chat/completions and others that want text written."""
    body = await read_body(request, service, ASKED)
    model = _model_of(body, service)
    raise RequestError(
        f"The model '{model}' writes no text; it makes embeddings, at /v1/embeddings", "model"
    )


def failed(status: int, kind: str, message: str, field: str | None) -> dict[str, Any]:
    """Give an error in this protocol's form."""
    return {
        "error": {
            "message": message,
            "type": KINDS.get(status, SERVER if status >= 500 else REQUEST),
            "param": field,
            "code": CODES.get(kind),
        }
    }


async def _embed(request: Request, service: Service, body: dict[str, Any], model: str) -> Response:
    form = optional(body, "encoding_format", str) or "float"
    if form not in ("float", "base64"):
        raise RequestError(
            f"encoding_format: expected float or base64, got {form!r}", "encoding_format"
        )
    wanted = dimensions_of(body, service.encoder)
    given = body.get("input")
    _refuse_tokens(given)
    texts = texts_of(given, "input", service.settings.max_texts)
    if not texts:
        raise RequestError(
            "input: expected at least one text, got an empty list", "input", kind="empty"
        )
    if empty := name_empty(given, texts, "input"):
        raise RequestError(
            f"{empty}: expected at least one character; leave empty texts out",
            "input",
            kind="empty",
        )
    found = await embedded(request, service, texts, dimensions=wanted)
    count = sum(report.kept for report in found.reports)
    return as_json(
        {
            "object": "list",
            "data": [
                {"object": "embedding", "index": place, "embedding": embedding}
                for place, embedding in enumerate(_encoded(found.vectors, form))
            ],
            "model": model,
            "usage": {"prompt_tokens": count, "total_tokens": count},
        },
        headers=service.headers(found),
    )


def _model_of(body: dict[str, Any], service: Service) -> str:
    """Give the name that the model is called by; Text Embeddings Inference's clients need none."""
    model = optional(body, "model", str) or ""
    if model and model not in PLACEHOLDERS and not service.names.know(model):
        raise _no_such_model(model, service)
    return model or service.names.listed


def _no_such_model(name: str, service: Service) -> RequestError:
    advice = service.names.advice(name, service.names.listed)
    message = f"The model '{shorten(name)}' does not exist: {advice}"
    return RequestError(message, "model", status=404, kind="model")


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "sentence-transformers"}


def _encoded(vectors: FloatArray, form: str) -> list[Any]:
    if form == "float":
        return list(vectors)
    return [base64.b64encode(row.astype("<f4").tobytes()).decode() for row in vectors]


def _refuse_tokens(given: object) -> None:
    first = given[0] if isinstance(given, list) and given else None
    inner = first[0] if isinstance(first, list) and first else first
    if isinstance(inner, int) and not isinstance(inner, bool):
        raise RequestError(
            "input: expected texts, got token ids: they are of another model's vocabulary, which "
            "this one cannot read; send strings (with langchain-openai: "
            "check_embedding_ctx_length=False)",
            "input",
        )
