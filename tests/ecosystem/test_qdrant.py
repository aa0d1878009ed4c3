"""Qdrant's client with its local engine."""

import pytest

from minilm_onnx import ArtifactError, InputError, SentenceEncoder

qdrant = pytest.importorskip("qdrant_client", reason="qdrant-client is not installed")

from qdrant_client.models import (
    Distance,
    FieldCondition,
    Filter,
    MatchValue,
    VectorParams,
)

from minilm_onnx.integrations.qdrant import add, search

TEXTS = ["The bakery opens at six.", "Trains leave every hour."]


def test_texts_are_added_once_and_found(encoder: SentenceEncoder) -> None:
    client = qdrant.QdrantClient(":memory:")
    places = [{"place": "town"}, {"place": "station"}]
    ids = add(client, "faq", TEXTS, encoder=encoder, payloads=places)
    assert add(client, "faq", TEXTS, encoder=encoder, payloads=places) == ids
    assert client.count("faq").count == 2
    (found,) = search(client, "faq", "when can I buy bread?", encoder=encoder, top=1)
    assert found.payload == {"place": "town", "text": TEXTS[0]}
    expected = encoder.similarity(
        encoder.encode([TEXTS[0]]), encoder.encode(["when can I buy bread?"])
    )
    assert found.score == pytest.approx(float(expected[0, 0]), abs=1e-5)
    only = Filter(must=[FieldCondition(key="place", match=MatchValue(value="station"))])
    (other,) = search(client, "faq", "bread", encoder=encoder, query_filter=only)
    assert other.payload["text"] == TEXTS[1]
    client.close()


def test_what_does_not_fit_is_refused(encoder: SentenceEncoder) -> None:
    client = qdrant.QdrantClient(":memory:")
    with pytest.raises(InputError, match="one a text"):
        add(client, "faq", TEXTS, encoder=encoder, payloads=[{}])
    client.create_collection(
        "foreign", vectors_config=VectorParams(size=384, distance=Distance.COSINE)
    )
    with pytest.raises(ArtifactError, match="says nothing"):
        add(client, "foreign", TEXTS, encoder=encoder)
    with pytest.raises(ArtifactError, match="foreign"):
        search(client, "foreign", "bread", encoder=encoder)
    client.close()
