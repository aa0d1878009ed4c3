"""OpenAI's /v1/embeddings and /v1/models."""

import base64
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from minilm_onnx.arrays import FloatArray
from minilm_onnx.server.errors import RequestError
from minilm_onnx.server.exchange import as_json, embedded, read_body
from minilm_onnx.server.fields import dimensions_of, optional, texts_of
from minilm_onnx.server.service import Service

# What is looked at of a request.
ASKED = ("model", "input", "encoding_format", "dimensions")
REQUEST, SERVER = "invalid_request_error", "server_error"
KINDS = {429: "rate_limit_error"}
CODES = {"key": "invalid_api_key", "model": "model_not_found", "overloaded": "rate_limit_exceeded"}


async def embeddings(request: Request, service: Service) -> Response:
    """POST /v1/embeddings."""
    body = await read_body(request, service, ASKED)
    model = body.get("model")
    if not isinstance(model, str):
        raise RequestError("model: expected a name, got none", "model")
    if model not in service.settings.all_names:
        raise _no_such_model(model, "; use all-MiniLM-L6-v2")
    form = optional(body, "encoding_format", str) or "float"
    if form not in ("float", "base64"):
        raise RequestError(
            f"encoding_format: expected float or base64, got {form!r}", "encoding_format"
        )
    wanted = dimensions_of(body, service.encoder)
    given = body.get("input")
    _refuse_tokens(given)
    texts = texts_of(given, "input", service.settings)
    if not texts or "" in texts:
        raise RequestError(
            "input: expected texts that are not empty, got an empty one", "input", kind="empty"
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


async def models(request: Request, service: Service) -> Response:
    """GET /v1/models."""
    return as_json(
        {"object": "list", "data": [_model(name) for name in service.settings.all_names]}
    )


async def model(request: Request, service: Service) -> Response:
    """GET /v1/models/NAME."""
    name = request.path_params["name"]
    if name not in service.settings.all_names:
        raise _no_such_model(name)
    return as_json(_model(name))


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


def _no_such_model(name: str, advice: str = "") -> RequestError:
    message = f"The model '{name}' does not exist here{advice}"
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
