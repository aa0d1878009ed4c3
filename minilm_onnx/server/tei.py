"""The API of Text Embeddings Inference; `tei_tokens` has what is about tokens."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import numpy as np
from starlette.requests import Request
from starlette.responses import Response

import minilm_onnx
from minilm_onnx.errors import describe
from minilm_onnx.server.budget import STATE
from minilm_onnx.server.errors import RequestError
from minilm_onnx.server.exchange import answered, as_json, embedded, read_body
from minilm_onnx.server.fields import dimensions_of, name_empty, name_text, optional, texts_of
from minilm_onnx.server.queue import BUDGET
from minilm_onnx.server.service import Service
from minilm_onnx.text.tokens import TokenizedTexts

Given = TypeVar("Given")
KINDS = {
    "overloaded": "Overloaded",
    "empty": "Empty",
    "deadline": "Overloaded",
    "ending": "Overloaded",
    "key": "Unauthorized",
    "backend": "Backend",
}
# Tokens of /embed_all, /tokenize and /decode: 24 MiB of vectors, and four times that as JSON.
MOST_TOKENS = 16_384
# What is looked at of requests.
OPTIONS = ("truncate", "truncation_direction", "prompt_name")
EMBED = ("inputs", "dimensions", "normalize", *OPTIONS)
SIMILARITY = (
    "inputs.source_sentence",
    "inputs.sentences",
    *(f"parameters.{option}" for option in OPTIONS),
)


async def embed(request: Request, service: Service) -> Response:
    """POST /embed: a bare list of vectors."""
    body = await read_body(request, service, EMBED)
    wanted = dimensions_of(body, service.encoder)
    normalize = optional(body, "normalize", bool) is not False
    manifest = service.encoder.manifest
    if not normalize and manifest and not manifest.normalize:
        raise RequestError(
            "normalize: expected true, since this server always scales vectors to length 1, "
            "unlike the model; leave it out",
            "normalize",
            status=422,
        )
    texts = texts_in(body, "inputs", service)
    check = _cut_check(body, partial(name_text, body["inputs"], "inputs"), service)
    # Without `normalize`, components are left out and the rest stays as it is.
    found = await embedded(request, service, texts, check, wanted if normalize else None)
    vectors = np.ascontiguousarray(found.vectors[:, :wanted])
    return as_json(list(vectors), headers=service.headers(found))


async def embed_all(request: Request, service: Service) -> Response:
    """POST /embed_all: the vectors of every token."""
    body = await read_body(request, service, EMBED)
    texts = texts_in(body, "inputs", service)
    refuse_cut = _cut_check(body, partial(name_text, body["inputs"], "inputs"), service)
    refuse_many = few("inputs")

    def check(tokens: TokenizedTexts) -> None:
        refuse_cut(tokens)
        refuse_many(tokens)
        components = sum(map(len, tokens.ids)) * service.encoder.dimension
        request.state.hold.add(components * STATE)

    states, reports = await answered(request, service.batcher.token_vectors(texts, check))
    listed = [list(rows) for rows in states]
    return await asyncio.to_thread(as_json, listed, headers=service.seen(reports))


async def similarity(request: Request, service: Service) -> Response:
    """POST /similarity: a source sentence against others."""
    body = await read_body(request, service, SIMILARITY)
    inputs = _inner(body, "inputs", dict, "an object with source_sentence and sentences")
    source = _inner(inputs, "source_sentence", str, "a string", "inputs.source_sentence")
    if not source:
        raise RequestError("`inputs.source_sentence` cannot be empty", "inputs", kind="empty")
    _inner(inputs, "sentences", list, "a list of strings", "inputs.sentences")
    others = texts_in(inputs, "sentences", service, "inputs.sentences")

    def name(place: int) -> str:
        return f"inputs.sentences[{place - 1}]" if place else "inputs.source_sentence"

    check = _cut_check(optional(body, "parameters", dict) or {}, name, service)
    found = await embedded(request, service, [source, *others], check)
    scores = found.vectors[1:] @ found.vectors[0]
    return as_json(np.ascontiguousarray(scores), headers=service.headers(found))


async def rerank(request: Request, service: Service) -> Response:
    """POST /rerank, which wants another kind of model, as those below."""
    await read_body(request, service, ())
    raise _other_model("model is not a re-ranker model; /similarity scores texts by their vectors")


async def predict(request: Request, service: Service) -> Response:
    """POST /predict."""
    await read_body(request, service, ())
    raise _other_model("Model is not a classifier model")


async def embed_sparse(request: Request, service: Service) -> Response:
    """POST /embed_sparse."""
    await read_body(request, service, ())
    raise _other_model("Model is not an embedding model with SPLADE pooling")


async def info(request: Request, service: Service) -> Response:
    """GET /info."""
    encoder, settings = service.encoder, service.settings
    manifest = encoder.manifest
    return as_json(
        {
            "model_id": manifest.model_id if manifest else str(encoder.folder.name),
            "model_sha": manifest.revision if manifest else None,
            "model_dtype": {"int8": "int8", "fp32": "float32"}.get(
                manifest.precision if manifest else "", "unknown"
            ),
            "served_model_name": service.names.listed,
            "model_type": {"embedding": {"pooling": "mean"}},
            "max_concurrent_requests": settings.max_requests,
            "max_input_length": encoder.max_seq_length,
            "max_batch_tokens": BUDGET,
            "max_batch_requests": None,
            "max_client_batch_size": settings.max_texts,
            "auto_truncate": True,
            "tokenization_workers": 1,
            "version": minilm_onnx.__version__,
            "sha": None,
            "docker_label": None,
            "fingerprint": encoder.fingerprint,
        }
    )


def failed(status: int, kind: str, message: str, field: str | None) -> dict[str, Any]:
    """Give an error in this protocol's form."""
    return {
        "error": message,
        "error_type": KINDS.get(kind, "Validation" if status < 500 else "Backend"),
    }


def texts_in(
    body: dict[str, Any], field: str, service: Service, path: str | None = None
) -> list[str]:
    """Give the texts of a field, `path` where it lies deeper in the body; none of them is empty."""
    path = path or field
    if isinstance(body.get(field), dict) and "source_sentence" in body[field]:
        raise RequestError(
            f"{path}: expected a string or a list of them, got an object with source_sentence; "
            "send it to /similarity",
            field,
        )
    texts = texts_of(body.get(field), path, service.settings.max_texts)
    if empty := name_empty(body[field], texts, path):
        raise RequestError(f"`{empty}` cannot be empty", field, kind="empty")
    return texts


def _inner(
    body: dict[str, Any], field: str, kind: type[Given], expected: str, path: str | None = None
) -> Given:
    """Give a field that /similarity needs, `path` where it lies deeper in the body.

    Raises:
        RequestError: it is missing, or of another type.
    """
    value, path = body.get(field), path or field
    if value is None:
        raise RequestError(f"{path} is missing: expected {expected}", "inputs", status=422)
    if not isinstance(value, kind):
        message = f"{path}: expected {expected}, got {describe(value)}"
        raise RequestError(message, "inputs", status=422)
    return value


def _other_model(message: str) -> RequestError:
    return RequestError(f"Backend error: {message}", status=424, kind="backend")


def check_count(tokens: int, field: str) -> None:
    """Raise RequestError where there are more tokens than are answered one by one."""
    if tokens > MOST_TOKENS:
        message = f"`{field}` must have at most {MOST_TOKENS} tokens together. Given: {tokens}"
        raise RequestError(message, field, status=413, kind="size")


def few(field: str) -> Callable[[TokenizedTexts], None]:
    """Give what refuses more tokens than are answered one by one."""
    return lambda tokens: check_count(sum(tokens.lengths), field)


def _cut_check(
    body: dict[str, Any], name: Callable[[int], str], service: Service
) -> Callable[[TokenizedTexts], None]:
    """Give what refuses texts that would be cut, where they are not to be.

    Args:
        body: may ask for that.
        name: gives a text its name in messages, by its place.
        service: whose model cuts.

    Raises:
        RequestError: something is asked for that is not here.
    """
    if optional(body, "prompt_name", str) is not None:
        raise RequestError(
            "prompt_name: this server has no named prompts; leave the field out, and put the "
            "prompt itself before each text",
            "prompt_name",
            status=422,
        )
    direction = optional(body, "truncation_direction", str)
    if direction is not None and direction.lower() != "right":
        raise RequestError(
            "truncation_direction: expected right, the only one supported",
            "truncation_direction",
            status=422,
        )
    may_cut = optional(body, "truncate", bool) is not False

    def refuse(tokens: TokenizedTexts) -> None:
        if may_cut:
            return
        for place, report in enumerate(tokens.reports):
            if report.cut:
                message = (
                    f"`{name(place)}` must have less than {service.encoder.max_seq_length} tokens. "
                    f"Given: {report.tokens}"
                )
                raise RequestError(message, "truncate", status=413)

    return refuse
