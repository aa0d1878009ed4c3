"""Texts in a Qdrant collection, by its official client: `pip install '.[qdrant]'`.

https://qdrant.tech/documentation/concepts/points/
"""

import json
import uuid
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from minilm_onnx.arguments import as_texts
from minilm_onnx.encoder import SentenceEncoder
from minilm_onnx.errors import ArtifactError, InputError, describe
from minilm_onnx.integrations import needing
from minilm_onnx.text.tokens import check_texts

if TYPE_CHECKING:
    from qdrant_client import QdrantClient
    from qdrant_client.models import Filter, ScoredPoint

# Points sent at a time.
SLICE = 256
# A text with its payload has the same id every time, so that adding it again changes nothing.
NAMESPACE = uuid.UUID("5b0e4a5e-6f0c-5d2b-9b0e-0d6f7d1c2a77")
FINGERPRINT = "minilm_onnx"
TEXT = "text"


def add(
    client: "QdrantClient",
    collection: str,
    texts: Sequence[str],
    *,
    encoder: SentenceEncoder,
    payloads: Sequence[Mapping[str, Any]] | None = None,
    ids: Sequence[int | str | uuid.UUID] | None = None,
) -> list[int | str | uuid.UUID]:
    """Embed texts into a collection, created if missing, and return the ids of the points.

    Without ids, each pair of a text and a payload is one point, however often it is added; the
    same text with another payload is another point. With ids, existing points with these ids are
    replaced.

    Args:
        client: a Qdrant client.
        collection: name of the collection. An existing one must have been made with this encoder.
        texts: the texts to embed; each is stored in its payload as "text".
        encoder: the encoder that makes the vectors.
        payloads: more fields to store with each text, other than "text".
        ids: distinct ids of the points: whole numbers or UUIDs, as Qdrant requires.

    Raises:
        InputError: a text is not a str of valid Unicode, a payload has a "text" or cannot be
            written as JSON, or the number of payloads or of distinct ids is not that of texts.
        ArtifactError: the collection holds vectors of another encoder.
    """
    with needing("qdrant"):
        from qdrant_client.models import Distance, PointStruct, VectorParams
    texts = as_texts(texts)
    check_texts(texts)
    if payloads is None:
        payloads = [{}] * len(texts)
    _check_payloads(payloads, texts)
    if ids is None:
        ids = [_id(place, *pair) for place, pair in enumerate(zip(texts, payloads, strict=True))]
    elif not len(ids) == len(set(ids)) == len(texts):
        raise InputError(
            f"ids: expected {len(texts)} different ones, one per text, got {len(ids)}, of which "
            f"{len(set(ids))} differ; leave them out to generate them"
        )
    if not client.collection_exists(collection):
        client.create_collection(
            collection,
            vectors_config=VectorParams(size=encoder.dimension, distance=Distance.COSINE),
            metadata={FINGERPRINT: encoder.fingerprint},
        )
    _check(client, collection, encoder)
    for first in range(0, len(texts), SLICE):
        some = list(texts[first : first + SLICE])
        vectors = encoder.encode_document(some, normalize_embeddings=True).tolist()
        points = [
            PointStruct(
                id=ids[first + place],
                vector=vectors[place],
                payload={**payloads[first + place], TEXT: text},
            )
            for place, text in enumerate(some)
        ]
        client.upsert(collection, points)
    return list(ids)


def search(
    client: "QdrantClient",
    collection: str,
    question: str,
    *,
    encoder: SentenceEncoder,
    top: int = 5,
    query_filter: "Filter | None" = None,
) -> "list[ScoredPoint]":
    """Find the texts that are nearest to a question, best first; scores are cosines.

    Args:
        client: a Qdrant client.
        collection: name of the collection.
        question: the question to search for.
        encoder: the encoder that the collection was made with.
        top: maximum number of results.
        query_filter: a Qdrant filter on the payloads.

    Raises:
        ArtifactError: the collection holds vectors of another encoder.
    """
    _check(client, collection, encoder)
    vector = encoder.encode_query(question, normalize_embeddings=True).tolist()
    found: list[ScoredPoint] = client.query_points(
        collection, query=vector, limit=top, query_filter=query_filter, with_payload=True
    ).points
    return found


def _check(client: "QdrantClient", collection: str, encoder: SentenceEncoder) -> None:
    metadata = client.get_collection(collection).config.metadata or {}
    found = metadata.get(FINGERPRINT)
    if found != encoder.fingerprint:
        raise ArtifactError(
            f"collection {collection}: expected vectors of {encoder.fingerprint}, got "
            f"{found or 'no fingerprint'}; choose another name"
        )


def _check_payloads(payloads: Sequence[Mapping[str, Any]], texts: Sequence[str]) -> None:
    if len(payloads) != len(texts):
        raise InputError(f"payloads: expected {len(texts)}, one per text, got {len(payloads)}")
    for place, payload in enumerate(payloads):
        if not isinstance(payload, Mapping):
            raise InputError(
                f"payloads[{place}]: expected a mapping, got {describe(payload)}; use {{}} for none"
            )
        if TEXT in payload:
            raise InputError(
                f"payloads[{place}]: expected no key {TEXT!r}, which holds the embedded text, "
                f"got {describe(payload[TEXT])}; choose another key"
            )


def _id(place: int, text: str, payload: Mapping[str, Any]) -> str:
    """Give the id of a text and its payload, by the JSON that Qdrant is sent."""
    from pydantic_core import to_jsonable_python  # the client's own way, of dates too

    try:
        said = json.dumps([text, to_jsonable_python(dict(payload))], sort_keys=True)
    except ValueError as error:
        raise InputError(
            f"payloads[{place}]: expected what JSON can hold, got: {error}; convert it to a str"
        ) from error
    return str(uuid.uuid5(NAMESPACE, said))
