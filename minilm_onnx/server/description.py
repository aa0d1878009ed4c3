"""What the server understands and answers, as OpenAPI 3.1: /openapi.json."""

from typing import Any

import minilm_onnx
from minilm_onnx.server.settings import Settings

Schema = dict[str, Any]

NUMBER: Schema = {"type": "number"}
VECTOR: Schema = {"type": "array", "items": NUMBER}
TEXT: Schema = {"type": "string"}
WHOLE: Schema = {"type": "integer", "minimum": 0}
ANSWER: dict[str, Schema] = {
    "v1": {
        "type": "object",
        "required": ["error"],
        "properties": {
            "error": {
                "type": "object",
                "required": ["message", "type", "param", "code"],
                "properties": {
                    "message": TEXT,
                    "type": TEXT,
                    "param": {"type": ["string", "null"]},
                    "code": {"type": ["string", "null"]},
                },
            }
        },
    },
    "api": {"type": "object", "required": ["error"], "properties": {"error": TEXT}},
    "tei": {
        "type": "object",
        "required": ["error", "error_type"],
        "properties": {"error": TEXT, "error_type": TEXT},
    },
}
# Of texts that were read; other answers have none.
COUNTS = {
    name: {"description": description, "schema": WHOLE}
    for name, description in {
        "x-compute-tokens": "Tokens that the model read.",
        "x-truncated-texts": "Texts that are longer than the model reads.",
        "x-unknown-texts": "Texts of which the vocabulary lacks more than half.",
    }.items()
}
ERRORS = {
    400: "What came cannot be answered; the message says why.",
    401: "A bearer token that is known here must come with the request.",
    403: "The page of another origin asks, or a name is used that this server does not answer to.",
    404: "The model is not here under that name.",
    408: "The body did not come in time.",
    413: "Too many bytes, texts or tokens.",
    415: "The body is packed otherwise than with gzip; Accept-Encoding says so.",
    422: "Something is asked for that this model cannot give.",
    429: "Too much is waiting; Retry-After says when to come back.",
    500: "The model could not be run.",
    503: "No turn came in time, or the server ends.",
}


def describe_api(settings: Settings, dimension: int, max_seq_length: int) -> Schema:
    """Give the description.

    Args:
        settings: its limits and names are stated.
        dimension: components of a vector.
        max_seq_length: tokens that the model reads of a text.
    """
    filled: Schema = {"type": "string", "minLength": 1}
    texts = _one_or_more(filled, settings)
    dimensions: Schema = {
        "type": ["integer", "null"],
        "minimum": 1,
        "maximum": dimension,
        "description": "Components to keep; the vector has length 1 again.",
    }
    flag: Schema = {"type": ["boolean", "null"]}
    model: Schema = {"type": "string", "enum": list(settings.all_names)}
    truncate: Schema = flag | {
        "description": f"false refuses texts of more than {max_seq_length} tokens, which are cut "
        "otherwise.",
    }
    shared: dict[str, Schema] = {
        "truncate": truncate,
        "truncation_direction": {"enum": ["Right", "right", None]},
        "prompt_name": {"type": "null", "description": "Put a prompt before the text."},
    }
    of_texts = _object({"inputs": texts, **shared}, ["inputs"])
    embed = _object(
        {
            "inputs": texts,
            **shared,
            "dimensions": dimensions,
            "normalize": {"enum": [True, None]},
        },
        ["inputs"],
    )
    known: Schema = {
        "anyOf": [_object({"model": model}, ["model"]), _object({"name": model}, ["name"])]
    }
    vectors: Schema = {"type": "array", "items": VECTOR}
    listed = _object({"object": {"const": "list"}, "data": {"type": "array"}}, ["object", "data"])
    models = _object({"models": {"type": "array"}}, ["models"])
    paths: dict[str, Schema] = {
        "/v1/embeddings": _post(
            "OpenAI's embeddings",
            "v1",
            _object(
                {
                    "input": texts,
                    "model": model,
                    "encoding_format": {"enum": ["float", "base64", None]},
                    "dimensions": dimensions,
                    "user": {"description": "Not looked at."},
                },
                ["input", "model"],
            ),
            _object(
                {
                    "object": {"const": "list"},
                    "data": {
                        "type": "array",
                        "items": _object(
                            {
                                "object": {"const": "embedding"},
                                "index": WHOLE,
                                "embedding": {"anyOf": [VECTOR, TEXT]},
                            },
                            ["object", "index", "embedding"],
                        ),
                    },
                    "model": TEXT,
                    "usage": _object(
                        {"prompt_tokens": WHOLE, "total_tokens": WHOLE},
                        ["prompt_tokens", "total_tokens"],
                    ),
                },
                ["object", "data", "model", "usage"],
            ),
        ),
        "/v1/models": _get("OpenAI's list of models", "v1", listed),
        "/v1/models/{name}": _get("One of them", "v1", _object({"id": TEXT}, ["id"]))
        | {"parameters": [{"name": "name", "in": "path", "required": True, "schema": model}]},
        "/": _get("Whether it runs, as Ollama says it", "api", None)
        | _post("The same as /embed", "tei", embed, vectors),
        "/api/version": _get("The version", "api", _object({"version": TEXT}, ["version"])),
        "/api/embed": _post(
            "Ollama's embeddings",
            "api",
            _object(
                {
                    "model": model,
                    "input": {"anyOf": [_one_or_more(TEXT, settings), {"type": "null"}]},
                    "truncate": truncate,
                    "dimensions": dimensions,
                    "options": {"description": "Not looked at."},
                    "keep_alive": {"description": "Not looked at."},
                },
                ["model"],
            ),
            _object({"model": TEXT, "embeddings": vectors}, ["model", "embeddings"]),
        ),
        "/api/embeddings": _post(
            "The older form of Ollama's",
            "api",
            _object({"model": model, "prompt": {"type": ["string", "null"]}}, ["model"]),
            _object({"embedding": VECTOR}, ["embedding"]),
        ),
        "/api/tags": _get("Ollama's list of models", "api", models),
        "/api/ps": _get("Those that are loaded", "api", models),
        "/api/show": _post("About a model", "api", known, {"type": "object"}),
        "/embed": _post("Text Embeddings Inference's embeddings", "tei", embed, vectors),
        "/embed_all": _post(
            "The vectors of every token", "tei", of_texts, {"type": "array", "items": vectors}
        ),
        "/similarity": _post(
            "One text against others",
            "tei",
            _object(
                {
                    "inputs": _object(
                        {
                            "source_sentence": filled,
                            "sentences": {
                                "type": "array",
                                "items": filled,
                                "minItems": 1,
                                "maxItems": settings.max_texts,
                            },
                        },
                        ["source_sentence", "sentences"],
                    ),
                    "parameters": {"anyOf": [_object(shared, []), {"type": "null"}]},
                },
                ["inputs"],
            ),
            VECTOR,
        ),
        "/tokenize": _post(
            "The tokens of texts, not cut",
            "tei",
            _object({"inputs": texts, "add_special_tokens": flag}, ["inputs"]),
            {"type": "array", "items": {"type": "array", "items": {"type": "object"}}},
        ),
        "/info": _get("About the model, and limits", "tei", {"type": "object"}),
    }
    described: Schema = {
        "openapi": "3.1.0",
        "info": {
            "title": "minilm-onnx",
            "version": minilm_onnx.__version__,
            "description": f"Vectors of {dimension} components, of length 1. A request may have "
            f"{settings.max_body} bytes and {settings.max_texts} texts; it may be packed "
            "with gzip. /health, /live, /ready, /metrics and /ui are there too.",
        },
        "paths": paths,
    }
    if settings.api_keys:
        described["components"] = {"securitySchemes": {"key": {"type": "http", "scheme": "bearer"}}}
        described["security"] = [{"key": []}]
    return described


def _object(properties: dict[str, Schema], required: list[str]) -> Schema:
    return {"type": "object", "properties": properties, "required": required}


def _one_or_more(text: Schema, settings: Settings) -> Schema:
    fewest = 1 if "minLength" in text else 0
    several: Schema = {
        "type": "array",
        "items": text,
        "minItems": fewest,
        "maxItems": settings.max_texts,
    }
    return {"anyOf": [text, several]}


def _get(summary: str, protocol: str, answer: Schema | None) -> Schema:
    kind = "text/plain" if answer is None else "application/json"
    found = {"description": "It is so.", "content": {kind: {"schema": answer or TEXT}}}
    statuses = (401, 403, 404) if protocol == "v1" else (401, 403)
    return {"get": {"summary": summary, "responses": {"200": found} | _errors(protocol, statuses)}}


def _post(summary: str, protocol: str, asked: Schema, answer: Schema) -> Schema:
    found = {
        "description": "The answer.",
        "content": {"application/json": {"schema": answer}},
        "headers": COUNTS,
    }
    return {
        "post": {
            "summary": summary,
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": asked}},
            },
            "responses": {"200": found} | _errors(protocol, tuple(ERRORS)),
        }
    }


def _errors(protocol: str, statuses: tuple[int, ...]) -> Schema:
    content = {"application/json": {"schema": ANSWER[protocol]}}
    return {str(status): {"description": ERRORS[status], "content": content} for status in statuses}
