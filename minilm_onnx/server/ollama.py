"""Ollama's API, as far as it is about embeddings."""

import hashlib
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

import minilm_onnx
from minilm_onnx.server.errors import RequestError
from minilm_onnx.server.exchange import as_json, embedded, read_body
from minilm_onnx.server.fields import dimensions_of, optional, texts_of
from minilm_onnx.server.page import page, wants_page
from minilm_onnx.server.service import Service
from minilm_onnx.text.tokens import TokenizedTexts

# What is looked at of requests.
ASKED = ("model", "name", "input", "prompt", "truncate", "dimensions")
# Of the model's files; they have no date of their own.
MODIFIED = "2024-01-01T00:00:00Z"


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
    return as_json({"version": minilm_onnx.__version__})


async def embed(request: Request, service: Service) -> Response:
    """POST /api/embed."""
    body = await read_body(request, service, ASKED)
    name = _known(body, service)
    wanted = dimensions_of(body, service.encoder)
    truncate = optional(body, "truncate", bool)
    given = body.get("input")
    if given is None or given == "" or given == []:
        texts: list[str] = []
    else:
        try:
            texts = texts_of(given, "input", service.settings)
        except RequestError as error:
            if error.kind == "validation":
                raise RequestError("invalid input type", "input") from error
            raise
    check = _refuse_cut if truncate is False else None
    found = await embedded(request, service, texts, check, wanted)
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
    _known(body, service)
    prompt = optional(body, "prompt", str) or ""
    if not prompt:
        return as_json({"embedding": []})
    found = await embedded(request, service, [prompt])
    return as_json({"embedding": found.vectors[0]}, headers=service.headers(found))


async def tags(request: Request, service: Service) -> Response:
    """GET /api/tags."""
    return as_json({"models": [_model(name, service) for name in _tagged(service)]})


async def running(request: Request, service: Service) -> Response:
    """GET /api/ps."""
    kept = {"expires_at": "0001-01-01T00:00:00Z", "size_vram": 0}
    return as_json({"models": [_model(name, service) | kept for name in _tagged(service)[:1]]})


async def show(request: Request, service: Service) -> Response:
    """POST /api/show."""
    body = await read_body(request, service, ASKED)
    name = _known(body, service)
    encoder = service.encoder
    return as_json(
        {
            "license": encoder.manifest.license if encoder.manifest else "",
            "modelfile": "",
            "parameters": "",
            "template": "{{ .Prompt }}",
            "details": _model(name, service)["details"],
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


def failed(status: int, kind: str, message: str, field: str | None) -> dict[str, Any]:
    """Give an error in this protocol's form."""
    return {"error": message}


def _refuse_cut(tokens: TokenizedTexts) -> None:
    if tokens.cut:
        raise RequestError("the input length exceeds the context length", "input")


def _known(body: dict[str, Any], service: Service) -> str:
    name = body.get("model", body.get("name"))
    if not isinstance(name, str) or not name:
        raise RequestError("model is required", "model")
    tagged = _tagged(service)
    if not {name, f"{name}:latest"} & {*service.settings.all_names, *tagged}:
        raise RequestError(f"model '{name}' not found", "model", status=404, kind="model")
    return name


def _tagged(service: Service) -> list[str]:
    """Names as Ollama has them, with a tag."""
    names = dict.fromkeys(
        name if ":" in name else f"{name}:latest" for name in service.settings.all_names
    )
    return list(names)


def _model(name: str, service: Service) -> dict[str, Any]:
    manifest = service.encoder.manifest
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
