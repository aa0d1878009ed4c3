"""Tokens in Text Embeddings Inference's API: /tokenize and /decode."""

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from minilm_onnx.errors import describe
from minilm_onnx.server.budget import TOKEN
from minilm_onnx.server.errors import RequestError
from minilm_onnx.server.exchange import answered, as_json, read_body
from minilm_onnx.server.fields import optional
from minilm_onnx.server.service import Service
from minilm_onnx.server.tei import check_count, few, texts_in
from minilm_onnx.text.tokens import TokenizedTexts

# Characters of /tokenize, which reads texts whole: tens of MiB on the way.
MOST_CHARACTERS = 2**18


async def tokenize(request: Request, service: Service) -> Response:
    """POST /tokenize: the tokens of each text, not cut."""
    body = await read_body(request, service, ("inputs", "add_special_tokens"))
    texts = texts_in(body, "inputs", service)
    special = optional(body, "add_special_tokens", bool) is not False
    given = sum(map(len, texts))
    if given > MOST_CHARACTERS:
        message = (
            f"`inputs` must have at most {MOST_CHARACTERS} characters together. Given: {given}"
        )
        raise RequestError(message, "inputs", status=413, kind="size")
    refuse_many = few("inputs")

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


async def decode(request: Request, service: Service) -> Response:
    """POST /decode: the text of token ids, one list or several."""
    body = await read_body(request, service, ("ids", "skip_special_tokens"))
    several = _ids_of(body.get("ids"), service)
    skip = optional(body, "skip_special_tokens", bool) is not False
    tokenizer = service.encoder.tokenizer
    work = asyncio.to_thread(tokenizer.decode_batch, several, skip_special_tokens=skip)
    return as_json(await answered(request, work))


def _ids_of(value: object, service: Service) -> list[list[int]]:
    """Give the lists of token ids of /decode.

    Raises:
        RequestError: they are none, or too many.
    """
    if value is None:
        raise RequestError("ids is missing: expected a list of token ids", "ids")
    if not isinstance(value, list):
        raise RequestError(f"ids: expected a list of token ids, got {describe(value)}", "ids")
    single = not value or not isinstance(value[0], list)
    several = [value] if single else value
    known = service.encoder.tokenizer.get_vocab_size()
    check_count(sum(len(ids) for ids in several if isinstance(ids, list)), "ids")
    for place, ids in enumerate(several):
        named = "ids" if single else f"ids[{place}]"
        if not isinstance(ids, list):
            raise RequestError(f"{named}: expected a list of token ids, got {describe(ids)}", "ids")
        if not ids:
            raise RequestError(f"`{named}` cannot be empty", "ids", kind="empty")
        for inner, one in enumerate(ids):
            whole = type(one) is int or (type(one) is float and one.is_integer())  # 8.0 is 8
            if not whole or not 0 <= one < known:
                message = f"{named}[{inner}]: expected a token id, 0 to {known - 1}, got "
                raise RequestError(message + describe(one), "ids")
    return [[int(one) for one in ids] for ids in several]
