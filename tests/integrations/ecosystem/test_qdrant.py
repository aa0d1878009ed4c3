"""Qdrant's client with its local engine."""

from datetime import UTC, datetime
from typing import Any

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


def payloads_of(client: Any) -> list[dict[str, Any]]:
    points, _ = client.scroll("faq")
    return sorted((point.payload for point in points), key=repr)


def test_a_text_with_another_payload_is_another_point(encoder: SentenceEncoder) -> None:
    client = qdrant.QdrantClient(":memory:")
    sources: list[dict[str, Any]] = [{"source": 1, "more": 0}, {"source": 2, "more": 0}]
    ids = add(client, "faq", ["a", "a"], encoder=encoder, payloads=sources)
    both = [{**source, "text": "a"} for source in sources]
    assert payloads_of(client) == sorted(both, key=repr)
    turned = [{"more": 0, "source": 1}]  # the same, in another order
    assert add(client, "faq", ["a"], encoder=encoder, payloads=turned) == ids[:1]
    alone = add(client, "faq", ["a"], encoder=encoder)
    assert add(client, "faq", ["a"], encoder=encoder, payloads=[{}]) == alone
    assert payloads_of(client) == sorted([*both, {"text": "a"}], key=repr)
    dated = [{"when": datetime(2024, 1, 2, tzinfo=UTC)}]  # the client takes dates
    assert add(client, "faq", ["a"], encoder=encoder, payloads=dated) not in [ids, alone]
    client.close()


def test_ids_may_be_given(encoder: SentenceEncoder) -> None:
    client = qdrant.QdrantClient(":memory:")
    assert add(client, "faq", TEXTS, encoder=encoder, ids=[1, 2]) == [1, 2]
    assert add(client, "faq", ["a cat"], encoder=encoder, ids=[2]) == [2]
    assert payloads_of(client) == [{"text": TEXTS[0]}, {"text": "a cat"}]
    for wrong in ([1], [1, 1], [1, 2, 2]):
        with pytest.raises(InputError, match="ids: expected 2 different ones"):
            add(client, "faq", TEXTS, encoder=encoder, ids=wrong)
    client.close()


def test_texts_and_payloads_are_looked_at_first(encoder: SentenceEncoder) -> None:
    client = qdrant.QdrantClient(":memory:")
    wrong: list[Any] = ["hello", None, [None], ["a", "\ud800"]]
    for texts in wrong:
        with pytest.raises(InputError, match="texts"):
            add(client, "faq", texts, encoder=encoder)
    without: list[Any] = [[{"text": "mine"}], [None], [{"made": object()}]]
    for payloads in without:
        with pytest.raises(InputError, match=r"payloads\[0\]"):
            add(client, "faq", ["a"], encoder=encoder, payloads=payloads)
    assert not client.collection_exists("faq")
    client.close()


def test_what_does_not_fit_is_refused(encoder: SentenceEncoder) -> None:
    client = qdrant.QdrantClient(":memory:")
    with pytest.raises(InputError, match="one per text"):
        add(client, "faq", TEXTS, encoder=encoder, payloads=[{}])
    client.create_collection(
        "foreign", vectors_config=VectorParams(size=384, distance=Distance.COSINE)
    )
    with pytest.raises(ArtifactError, match="got no fingerprint"):
        add(client, "foreign", TEXTS, encoder=encoder)
    with pytest.raises(ArtifactError, match="foreign"):
        search(client, "foreign", "bread", encoder=encoder)
    client.close()
