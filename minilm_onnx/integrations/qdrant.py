"""Texts in a Qdrant collection, by its official client: `pip install 'minilm-onnx[qdrant]'`.

https://qdrant.tech/documentation/concepts/points/
"""

import uuid
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from minilm_onnx.encoder import SentenceEncoder
from minilm_onnx.errors import ArtifactError, InputError
from minilm_onnx.integrations import needing

if TYPE_CHECKING:
    from qdrant_client import QdrantClient
    from qdrant_client.models import Filter, ScoredPoint

# Points sent at a time.
SLICE = 256
# A text's point has the same id every time, so that adding it again changes nothing.
NAMESPACE = uuid.UUID("5b0e4a5e-6f0c-5d2b-9b0e-0d6f7d1c2a77")
FINGERPRINT = "minilm_onnx"


def add(
    client: "QdrantClient",
    collection: str,
    texts: Sequence[str],
    *,
    encoder: SentenceEncoder,
    payloads: Sequence[Mapping[str, Any]] | None = None,
) -> list[str]:
    """Embed texts into a collection, which is made if it is not there; give their ids.

    Args:
        client: Qdrant's.
        collection: its name. One that is there must have been made by this encoder.
        texts: what to embed; each is kept as "text" of its payload.
        encoder: makes the vectors.
        payloads: more to keep with each.

    Raises:
        InputError: there are not as many payloads as texts.
        ArtifactError: the collection holds vectors of another encoder.
    """
    with needing("qdrant"):
        from qdrant_client.models import Distance, PointStruct, VectorParams
    if payloads is not None and len(payloads) != len(texts):
        raise InputError(f"payloads: expected {len(texts)}, one a text, got {len(payloads)}")
    if not client.collection_exists(collection):
        client.create_collection(
            collection,
            vectors_config=VectorParams(size=encoder.dimension, distance=Distance.COSINE),
            metadata={FINGERPRINT: encoder.fingerprint},
        )
    _check(client, collection, encoder)
    ids = [str(uuid.uuid5(NAMESPACE, text)) for text in texts]
    for first in range(0, len(texts), SLICE):
        some = list(texts[first : first + SLICE])
        vectors = encoder.encode_document(some).tolist()
        points = [
            PointStruct(
                id=ids[first + place],
                vector=vectors[place],
                payload={**(payloads[first + place] if payloads else {}), "text": text},
            )
            for place, text in enumerate(some)
        ]
        client.upsert(collection, points)
    return ids


def search(
    client: "QdrantClient",
    collection: str,
    question: str,
    *,
    encoder: SentenceEncoder,
    top: int = 5,
    query_filter: "Filter | None" = None,
) -> "list[ScoredPoint]":
    """Find the texts nearest to a question, best first; scores are cosines.

    Args:
        client: Qdrant's.
        collection: its name.
        question: what is asked.
        encoder: the one that made the collection.
        top: how many to give at most.
        query_filter: Qdrant's, over the payloads.

    Raises:
        ArtifactError: the collection holds vectors of another encoder.
    """
    _check(client, collection, encoder)
    vector = encoder.encode_query(question).tolist()
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
            f"{found or 'one that says nothing of them'}; choose another name"
        )
