"""Fields of a request's body that several protocols have: texts, options, dimensions."""

from typing import Any, TypeVar

from minilm_onnx.encoder import SentenceEncoder
from minilm_onnx.errors import describe
from minilm_onnx.server.errors import RequestError

Given = TypeVar("Given")
# Empty texts that a message names one by one.
MOST_NAMED = 5


def texts_of(value: object, field: str, most: int) -> list[str]:
    """Give the texts of a field: one str, or a list of `most` at most.

    Raises:
        RequestError: they are none, or too many.
    """
    if value is None:
        raise RequestError(f"{field} is missing: expected a string or a list of them", field)
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list):
        raise RequestError(
            f"{field}: expected a string or a list of them, got {describe(value)}", field
        )
    for place, text in enumerate(texts):
        if not isinstance(text, str):
            raise RequestError(f"{field}[{place}]: expected a string, got {describe(text)}", field)
    if len(texts) > most:
        raise RequestError(
            f"{field}: expected at most {most} texts, got {len(texts)}; send fewer, or start "
            "the server with a larger --max-texts",
            field,
            status=413,
            kind="size",
        )
    return texts


def name_text(value: object, field: str, place: int) -> str:
    """Name a text of a field, as "input[1]"; "input" where it is the only one."""
    return field if isinstance(value, str) else f"{field}[{place}]"


def name_empty(value: object, texts: list[str], field: str) -> str:
    """Name the empty texts of a field, as "input[1], input[4]"; "" where none is empty."""
    if not texts:
        return field
    places = [place for place, text in enumerate(texts) if not text]
    named = ", ".join(name_text(value, field, place) for place in places[:MOST_NAMED])
    more = len(places) - MOST_NAMED
    return f"{named} and {more} more" if more > 0 else named


def optional(body: dict[str, Any], field: str, kind: type[Given]) -> Given | None:
    """Give a field that may be missing or null.

    Raises:
        RequestError: it is of another type.
    """
    value = body.get(field)
    if value is None:
        return None
    if kind is int and isinstance(value, float) and value.is_integer():
        value = int(value)  # 8.0 is an integer in JSON's eyes
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise RequestError(f"{field}: expected {kind.__name__}, got {describe(value)}", field)
    return value


def dimensions_of(body: dict[str, Any], encoder: SentenceEncoder) -> int | None:
    """Give how many components are wanted, None for all.

    Raises:
        RequestError: there are not so many.
    """
    wanted = optional(body, "dimensions", int)
    if wanted is not None and not 1 <= wanted <= encoder.dimension:
        raise RequestError(
            f"dimensions: expected 1 to {encoder.dimension}, got {wanted}", "dimensions"
        )
    return wanted
