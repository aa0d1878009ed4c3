"""The API of Text Embeddings Inference."""

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import Response

import minilm_onnx
from minilm_onnx.server.budget import STATE, TOKEN
from minilm_onnx.server.errors import RequestError
from minilm_onnx.server.exchange import answered, as_json, embedded, read_body
from minilm_onnx.server.fields import dimensions_of, optional, texts_of
from minilm_onnx.server.queue import BUDGET
from minilm_onnx.server.service import Service
from minilm_onnx.text.tokens import TokenizedTexts

KINDS = {
    "overloaded": "Overloaded",
    "empty": "Empty",
    "deadline": "Overloaded",
    "ending": "Overloaded",
    "key": "Unauthorized",
}
# Tokens of /embed_all and /tokenize: 24 MiB of vectors, and four times that as JSON.
MOST_TOKENS = 16_384
# Characters of /tokenize, which reads texts whole: tens of MiB on the way.
MOST_CHARACTERS = 2**18
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
    if optional(body, "normalize", bool) is False:
        raise RequestError(
            "normalize: expected true, since the model normalises; leave it out",
            "normalize",
            status=422,
        )
    texts = _texts(body, "inputs", service)
    check = _cut_check(body, "inputs", service)
    found = await embedded(request, service, texts, check, wanted)
    return as_json(list(found.vectors), headers=service.headers(found))


async def embed_all(request: Request, service: Service) -> Response:
    """POST /embed_all: the vectors of every token."""
    body = await read_body(request, service, EMBED)
    texts = _texts(body, "inputs", service)
    refuse_cut, refuse_many = _cut_check(body, "inputs", service), _few("inputs")

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
    inputs = body.get("inputs")
    if not isinstance(inputs, dict):
        raise RequestError("inputs: expected an object", "inputs", status=422)
    source = inputs.get("source_sentence")
    if not isinstance(source, str):
        raise RequestError("inputs.source_sentence: expected a string", "inputs", status=422)
    if not source:
        raise RequestError("`inputs.source_sentence` cannot be empty", "inputs", kind="empty")
    if not isinstance(inputs.get("sentences"), list):
        raise RequestError("inputs.sentences: expected a list", "inputs", status=422)
    others = _texts(inputs, "sentences", service)
    check = _cut_check(optional(body, "parameters", dict) or {}, "sentences", service)
    found = await embedded(request, service, [source, *others], check)
    scores = found.vectors[1:] @ found.vectors[0]
    return as_json(np.ascontiguousarray(scores), headers=service.headers(found))


async def tokenize(request: Request, service: Service) -> Response:
    """POST /tokenize: the tokens of each text, not cut."""
    body = await read_body(request, service, ("inputs", "add_special_tokens"))
    texts = _texts(body, "inputs", service)
    special = optional(body, "add_special_tokens", bool) is not False
    given = sum(map(len, texts))
    if given > MOST_CHARACTERS:
        message = (
            f"`inputs` must have at most {MOST_CHARACTERS} characters together. Given: {given}"
        )
        raise RequestError(message, "inputs", status=413, kind="size")
    refuse_many = _few("inputs")

    def check(tokens: TokenizedTexts) -> None:
        refuse_many(tokens)
        request.state.hold.add(sum(tokens.lengths) * TOKEN)

    def encode() -> list[Any]:
        tokenizer = service.encoder.tokenizer
        return list(tokenizer.encode_batch(texts, add_special_tokens=special))

    work = service.batcher.aside(texts, check, encode)
    found, reports = await answered(request, work)
    return as_json(
        [
            [
                {
                    "id": number,
                    "text": token,
                    "special": bool(mask),
                    "start": None if mask else start,
                    "stop": None if mask else stop,
                }
                for number, token, mask, (start, stop) in zip(
                    one.ids, one.tokens, one.special_tokens_mask, one.offsets, strict=True
                )
            ]
            for one in found
        ],
        headers=service.seen(reports),
    )


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
            "model_type": {"embedding": {"pooling": "mean"}},
            "max_concurrent_requests": settings.max_requests,
            "max_input_length": encoder.max_seq_length,
            "max_batch_tokens": BUDGET,
            "max_client_batch_size": settings.max_texts,
            "auto_truncate": True,
            "tokenization_workers": 1,
            "version": minilm_onnx.__version__,
            "fingerprint": encoder.fingerprint,
        }
    )


def failed(status: int, kind: str, message: str, field: str | None) -> dict[str, Any]:
    """Give an error in this protocol's form."""
    return {
        "error": message,
        "error_type": KINDS.get(kind, "Validation" if status < 500 else "Backend"),
    }


def _texts(body: dict[str, Any], field: str, service: Service) -> list[str]:
    texts = texts_of(body.get(field), field, service.settings)
    if not texts or "" in texts:
        raise RequestError(f"`{field}` cannot be empty", field, kind="empty")
    return texts


def _few(field: str) -> Callable[[TokenizedTexts], None]:
    """Give what refuses more tokens than are answered one by one."""

    def refuse(tokens: TokenizedTexts) -> None:
        given = sum(tokens.lengths)
        if given > MOST_TOKENS:
            message = f"`{field}` must have at most {MOST_TOKENS} tokens together. Given: {given}"
            raise RequestError(message, field, status=413, kind="size")

    return refuse


def _cut_check(
    body: dict[str, Any], field: str, service: Service
) -> Callable[[TokenizedTexts], None]:
    """Give what refuses texts that would be cut, where they are not to be.

    Raises:
        RequestError: something is asked for that is not here.
    """
    if optional(body, "prompt_name", str) is not None:
        raise RequestError(
            "prompt_name: expected none, put a prompt before the text", field, status=422
        )
    direction = optional(body, "truncation_direction", str)
    if direction is not None and direction.lower() != "right":
        raise RequestError(
            "truncation_direction: expected right, the only one here", field, status=422
        )

    may_cut = optional(body, "truncate", bool) is not False

    def refuse(tokens: TokenizedTexts) -> None:
        if tokens.cut and not may_cut:
            most, given = service.encoder.max_seq_length, max(tokens.lengths)
            message = f"`{field}` must have less than {most} tokens. Given: {given}"
            raise RequestError(message, field, status=413)

    return refuse
