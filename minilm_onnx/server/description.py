"""What the server understands and answers, as OpenAPI 3.1: /openapi.json."""

import minilm_onnx
from minilm_onnx.server.names import PLACEHOLDERS
from minilm_onnx.server.ollama import MOST_PARTS
from minilm_onnx.server.schemas import (
    FLAG,
    TEXT,
    VECTOR,
    VECTORS,
    WHOLE,
    Schema,
    get,
    object_of,
    one_or_more,
    post,
)
from minilm_onnx.server.service import Service


def describe_api(service: Service) -> Schema:
    """Give the description of a server: its paths, limits and names."""
    settings = service.settings
    described: Schema = {
        "openapi": "3.1.0",
        "info": {
            "title": "minilm-onnx",
            "version": minilm_onnx.__version__,
            "description": f"Vectors of {service.encoder.dimension} components, of length 1. A "
            f"request may have {settings.max_body} bytes and {settings.max_texts} texts; it may be "
            "packed with gzip. /health, /live, /ready, /ping, /metrics, /docs and /ui are there "
            "too. What asks for more than embeddings, such as /api/chat and /rerank, is answered "
            "with an error that says so.",
        },
        "paths": _of_openai(service) | _of_ollama(service) | _of_tei(service),
    }
    described["paths"]["/"] = get("Whether it runs, as Ollama says it", "api", None) | post(
        "The same as /embed", "tei", _embed(service), VECTORS
    )
    if settings.api_keys:
        described["components"] = {"securitySchemes": {"key": {"type": "http", "scheme": "bearer"}}}
        described["security"] = [{"key": []}]
        for path in ("/", "/api/version"):
            described["paths"][path]["get"]["security"] = []
    return described


def _of_openai(service: Service) -> dict[str, Schema]:
    listed = object_of({"object": {"const": "list"}, "data": {"type": "array"}}, ["object", "data"])
    one = object_of(
        {
            "object": {"const": "embedding"},
            "index": WHOLE,
            "embedding": {"anyOf": [VECTOR, TEXT]},
        },
        ["object", "index", "embedding"],
    )
    answer = object_of(
        {
            "object": {"const": "list"},
            "data": {"type": "array", "items": one},
            "model": TEXT,
            "usage": object_of(
                {"prompt_tokens": WHOLE, "total_tokens": WHOLE}, ["prompt_tokens", "total_tokens"]
            ),
        },
        ["object", "data", "model", "usage"],
    )
    whatever: Schema = {"description": "Not looked at."}
    shared: dict[str, Schema] = {
        "input": _texts(service),
        "encoding_format": {"enum": ["float", "base64", None]},
        "dimensions": _dimensions(service),
        "user": whatever,
    }
    named = _model(service)
    model = {
        "anyOf": [named, {"enum": [None, "", *PLACEHOLDERS]}],
        "description": "Text Embeddings Inference's clients need none.",
    }
    by_name = {"parameters": [{"name": "name", "in": "path", "required": True, "schema": named}]}
    return {
        "/v1/embeddings": post(
            "OpenAI's embeddings", "v1", object_of(shared | {"model": model}, ["input"]), answer
        ),
        "/v1/models": get("OpenAI's list of models", "v1", listed),
        "/v1/models/{name}": get("A model", "v1", object_of({"id": TEXT}, ["id"]), 404) | by_name,
        "/embeddings": post(
            "The same as /v1/embeddings, whatever the model's name",
            "v1",
            object_of(shared | {"model": whatever}, ["input"]),
            answer,
        ),
    }


def _of_ollama(service: Service) -> dict[str, Schema]:
    model = _model(service)
    models = object_of({"models": {"type": "array"}}, ["models"])
    most = MOST_PARTS * service.settings.max_texts
    known: Schema = {
        "anyOf": [object_of({"model": model}, ["model"]), object_of({"name": model}, ["name"])]
    }
    wanted = object_of({"model": TEXT | {"minLength": 1}, "stream": FLAG}, ["model"])
    embed = object_of(
        {
            "model": model,
            "input": {"anyOf": [one_or_more(TEXT, most), {"type": "null"}]},
            "truncate": _truncate(service),
            "dimensions": {
                "type": ["integer", "null"],
                "description": "Components to keep; all, where there are not more than that.",
            },
            "options": {"description": "Not looked at."},
            "keep_alive": {"description": "Not looked at."},
        },
        ["model"],
    )
    pull = post("A model that is here is a success", "api", wanted, {"type": "object"})
    # A line of JSON for each step, unless `stream` is false.
    pull["post"]["responses"]["200"]["content"]["application/x-ndjson"] = {"schema": TEXT}
    older = object_of({"model": model, "prompt": {"type": ["string", "null"]}}, ["model"])
    return {
        "/api/version": get(
            "The release of Ollama that is followed",
            "api",
            object_of({"version": TEXT}, ["version"]),
        ),
        "/api/embed": post(
            "Ollama's embeddings",
            "api",
            embed,
            object_of({"model": TEXT, "embeddings": VECTORS}, ["model", "embeddings"]),
        ),
        "/api/embeddings": post(
            "The older form of Ollama's",
            "api",
            older,
            object_of({"embedding": VECTOR}, ["embedding"]),
        ),
        "/api/tags": get("Ollama's list of models", "api", models),
        "/api/ps": get("Those that are loaded", "api", models),
        "/api/show": post("About a model", "api", known, {"type": "object"}),
        "/api/pull": pull,
    }


def _of_tei(service: Service) -> dict[str, Schema]:
    shared = _shared(service)
    filled: Schema = {"type": "string", "minLength": 1}
    of_texts = object_of({"inputs": _texts(service), **shared}, ["inputs"])
    embed = _embed(service)
    sentences = {
        "type": "array",
        "items": filled,
        "minItems": 1,
        "maxItems": service.settings.max_texts,
    }
    compared = object_of(
        {"source_sentence": filled, "sentences": sentences}, ["source_sentence", "sentences"]
    )
    ids: Schema = {
        "type": "array",
        "items": WHOLE | {"maximum": service.encoder.tokenizer.get_vocab_size() - 1},
        "minItems": 1,
    }
    several = {"anyOf": [ids, {"type": "array", "items": ids, "minItems": 1}]}
    return {
        "/embed": post("Text Embeddings Inference's embeddings", "tei", embed, VECTORS),
        "/invocations": post("The same as /embed, for Amazon SageMaker", "tei", embed, VECTORS),
        "/embed_all": post(
            "The vectors of every token", "tei", of_texts, {"type": "array", "items": VECTORS}
        ),
        "/similarity": post(
            "One text against others",
            "tei",
            object_of(
                {
                    "inputs": compared,
                    "parameters": {"anyOf": [object_of(shared, []), {"type": "null"}]},
                },
                ["inputs"],
            ),
            VECTOR,
        ),
        "/tokenize": post(
            "The tokens of texts, not cut",
            "tei",
            object_of({"inputs": _texts(service), "add_special_tokens": FLAG}, ["inputs"]),
            {"type": "array", "items": {"type": "array", "items": {"type": "object"}}},
        ),
        "/decode": post(
            "The text of token ids, one list or several",
            "tei",
            object_of({"ids": several, "skip_special_tokens": FLAG}, ["ids"]),
            {"type": "array", "items": TEXT},
        ),
        "/info": get("About the model, and limits", "tei", {"type": "object"}),
    }


def _model(service: Service) -> Schema:
    """A name of the model."""
    names = service.names
    return {"type": "string", "minLength": 1} if names.any_name else {"enum": list(names.names)}


def _texts(service: Service) -> Schema:
    return one_or_more({"type": "string", "minLength": 1}, service.settings.max_texts)


def _dimensions(service: Service) -> Schema:
    return {
        "type": ["integer", "null"],
        "minimum": 1,
        "maximum": service.encoder.dimension,
        "description": "Components to keep; the vector has length 1 again.",
    }


def _truncate(service: Service) -> Schema:
    most = service.encoder.max_seq_length
    return FLAG | {"description": f"false refuses texts of more than {most} tokens, cut otherwise."}


def _shared(service: Service) -> dict[str, Schema]:
    """What Text Embeddings Inference's paths have in common."""
    return {
        "truncate": _truncate(service),
        "truncation_direction": {"enum": ["Right", "right", None]},
        "prompt_name": {"type": "null", "description": "Put a prompt before the text."},
    }


def _embed(service: Service) -> Schema:
    """The body of /embed."""
    normalize = FLAG | {"description": "Vectors have length 1 in any case, where all are kept."}
    return object_of(
        {
            "inputs": _texts(service),
            **_shared(service),
            "dimensions": _dimensions(service),
            "normalize": normalize,
        },
        ["inputs"],
    )
