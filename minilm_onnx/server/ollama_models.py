"""What Ollama's API says of models: one is here, and is not fetched, copied or removed."""

import hashlib
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from minilm_onnx.errors import shorten
from minilm_onnx.server.errors import RequestError
from minilm_onnx.server.exchange import as_json, read_body
from minilm_onnx.server.fields import optional
from minilm_onnx.server.ollama import model_in, name_of
from minilm_onnx.server.service import Service

# What is looked at of requests.
ASKED = ("model", "name", "stream")

# Of the model's files; they have no date of their own.
MODIFIED = "2024-01-01T00:00:00Z"
# Ollama's program calls a model that expires in the past "Stopping...", and one that does in more
# than twenty years "Forever". Later than 2262 there is no number of nanoseconds for it.
EXPIRES = "2222-01-01T00:00:00Z"


async def tags(request: Request, service: Service) -> Response:
    """GET /api/tags."""
    return as_json({"models": [_model(service)]})


async def running(request: Request, service: Service) -> Response:
    """GET /api/ps."""
    loaded = {
        "expires_at": EXPIRES,
        "size_vram": 0,
        "context_length": service.encoder.max_seq_length,
    }
    return as_json({"models": [_model(service) | loaded]})


async def show(request: Request, service: Service) -> Response:
    """POST /api/show."""
    body = await read_body(request, service, ASKED)
    name_of(body, service)
    encoder = service.encoder
    return as_json(
        {
            "license": encoder.manifest.license if encoder.manifest else "",
            "modelfile": "",
            "parameters": "",
            "template": "{{ .Prompt }}",
            "details": _model(service)["details"],
            "model_info": {
                "general.architecture": "bert",
                "general.parameter_count": 22_713_216,
                "bert.context_length": encoder.max_seq_length,
                "bert.embedding_length": encoder.dimension,
                "bert.pooling_type": 1,
            },
            "capabilities": ["embedding"],
            "modified_at": MODIFIED,
        }
    )


async def pull(request: Request, service: Service) -> Response:
    """POST /api/pull: a model that is there needs no more; another cannot be had."""
    body = await read_body(request, service, ASKED)
    name = model_in(body)
    streamed = optional(body, "stream", bool) is not False
    end: dict[str, str] = {"status": "success"}
    if not service.names.know(name):
        advice = service.names.advice(name, service.names.tagged)
        error = f"pull model manifest: file does not exist: {advice}"
        if not streamed:
            raise RequestError(error, "model", status=404, kind="model")
        end = {"error": error}
    if not streamed:
        return as_json(end)
    lines = [{"status": "pulling manifest"}, end]
    return Response(
        b"".join(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE) for line in lines),
        media_type="application/x-ndjson",
    )


async def generate(request: Request, service: Service) -> Response:
    """POST /api/generate."""
    raise await _unable(request, service, "generate")


async def chat(request: Request, service: Service) -> Response:
    """POST /api/chat."""
    raise await _unable(request, service, "chat")


async def keep(request: Request, service: Service) -> Response:
    """Answer what would make, copy, send or remove a model, or a file of one."""
    raise RequestError(
        f"{request.url.path}: this server has one model, and does not change it; another name for "
        "it is given by --name, another model by --model",
        status=403,
        kind="path",
    )


async def blob(request: Request, service: Service) -> Response:
    """HEAD /api/blobs/DIGEST, which asks whether a file of a model is there."""
    digest = shorten(request.path_params["digest"])
    raise RequestError(f'blob "{digest}" not found', status=404, kind="path")


async def _unable(request: Request, service: Service, what: str) -> RequestError:
    """Say what the model cannot, in Ollama's words."""
    name = name_of(await read_body(request, service, ASKED), service)
    return RequestError(f'"{shorten(name)}" does not support {what}', "model")


def _model(service: Service) -> dict[str, Any]:
    manifest, name = service.encoder.manifest, service.names.tagged
    files = [path for path in service.encoder.folder.iterdir() if path.is_file()]
    return {
        "name": name,
        "model": name,
        "modified_at": MODIFIED,
        "size": sum(path.stat().st_size for path in files),
        "digest": hashlib.sha256(service.encoder.fingerprint.encode()).hexdigest(),
        "details": {
            "parent_model": "",
            "format": "onnx",
            "family": "bert",
            "families": ["bert"],
            "parameter_size": "23M",
            "quantization_level": manifest.precision if manifest else "unknown",
        },
    }
