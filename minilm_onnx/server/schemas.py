"""Pieces of an OpenAPI description: bodies, answers, and the errors that each protocol gives."""

from typing import Any

Schema = dict[str, Any]

NUMBER: Schema = {"type": "number"}
VECTOR: Schema = {"type": "array", "items": NUMBER}
VECTORS: Schema = {"type": "array", "items": VECTOR}
TEXT: Schema = {"type": "string"}
WHOLE: Schema = {"type": "integer", "minimum": 0}
FLAG: Schema = {"type": ["boolean", "null"]}
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


def object_of(properties: dict[str, Schema], required: list[str]) -> Schema:
    """Give the schema of an object."""
    return {"type": "object", "properties": properties, "required": required}


def one_or_more(text: Schema, most: int) -> Schema:
    """Give the schema of a text, or of a list of `most` texts at most."""
    fewest = 1 if "minLength" in text else 0
    several: Schema = {"type": "array", "items": text, "minItems": fewest, "maxItems": most}
    return {"anyOf": [text, several]}


def get(summary: str, protocol: str, answer: Schema | None, *statuses: int) -> Schema:
    """Describe a GET; an answer of None is plain text."""
    kind = "text/plain" if answer is None else "application/json"
    found = {"description": "It is so.", "content": {kind: {"schema": answer or TEXT}}}
    responses = {"200": found} | _errors(protocol, (401, 403, *statuses))
    return {"get": {"summary": summary, "responses": responses}}


def post(summary: str, protocol: str, asked: Schema, answer: Schema) -> Schema:
    """Describe a POST."""
    content = {"application/json": {"schema": answer}}
    found = {"200": {"description": "The answer.", "content": content, "headers": COUNTS}}
    body = {"required": True, "content": {"application/json": {"schema": asked}}}
    responses = found | _errors(protocol, tuple(ERRORS))
    return {"post": {"summary": summary, "requestBody": body, "responses": responses}}


def _errors(protocol: str, statuses: tuple[int, ...]) -> Schema:
    content = {"application/json": {"schema": ANSWER[protocol]}}
    return {str(status): {"description": ERRORS[status], "content": content} for status in statuses}
