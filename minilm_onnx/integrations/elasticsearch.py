"""An index's passages in Elasticsearch, as documents with a dense_vector, by its official client.

Needs `pip install '.[elasticsearch]'` and a server of version 8 or 9,
https://www.elastic.co/docs/reference/elasticsearch/mapping-reference/dense-vector.
"""

import time
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from minilm_onnx.checks import check_positive
from minilm_onnx.encoder import SentenceEncoder
from minilm_onnx.errors import InputError, MiniLMError, importing
from minilm_onnx.index.folding import folded
from minilm_onnx.index.ranking import Result
from minilm_onnx.index.textindex import TextIndex

if TYPE_CHECKING:
    from elasticsearch import Elasticsearch

# Of which the nearest are taken, for each result and at least.
CANDIDATES, LEAST_CANDIDATES = 10, 100
MOST = 10_000  # that it takes


def mapping(fingerprint: str, dimension: int) -> dict[str, Any]:
    """Give the mapping of an index of passages; it remembers the encoder's fingerprint.

    Args:
        fingerprint: of the encoder.
        dimension: components of a vector.
    """
    return {
        "_meta": {"minilm_onnx": fingerprint},
        "dynamic": "strict",
        "properties": {
            "source": {"type": "keyword"},
            "first_line": {"type": "integer"},
            "last_line": {"type": "integer"},
            "headings": {"type": "text"},
            "text": {"type": "text"},
            "embedding": {
                "type": "dense_vector",
                "dims": dimension,
                "index": True,
                # The vectors have length 1, but for what float32 leaves of it.
                "similarity": "cosine",
            },
        },
    }


def documents(index: TextIndex) -> Iterator[dict[str, Any]]:
    """Give every passage as a document of that mapping, "_id" among its fields."""
    for passage in index.passages():
        yield {
            "_id": str(passage.id),
            "source": passage.source,
            "first_line": passage.first_line,
            "last_line": passage.last_line,
            "headings": passage.headings,
            "text": passage.text,
            "embedding": passage.vector.tolist(),
        }


def copy_passages(index: TextIndex, client: "Elasticsearch", name: str = "passages") -> int:
    """Put all passages of an index into Elasticsearch, in the place of what was there.

    They go into an index of their own, NAME-<time>, and the alias NAME leads to it once all are
    there; the one that it led to before is deleted. A run that fails deletes what it began.

    Args:
        index: where from.
        client: to the server.
        name: of the alias.

    Returns:
        How many passages there are.

    Raises:
        InputError: the package is missing, or an index, not an alias, has the name.
        MiniLMError: the server did not take all passages.
        elasticsearch.ApiError, elasticsearch.TransportError: what the client says.
    """
    with importing("elasticsearch", "its client", "elasticsearch"):
        from elasticsearch import helpers
    before: list[str] = []
    if client.indices.exists(index=name):
        if not client.indices.exists_alias(name=name):
            raise InputError(f"{name}: expected an alias or none, got an index; choose another")
        found = client.indices.get_mapping(index=name).body
        if not all("minilm_onnx" in one["mappings"].get("_meta", {}) for one in found.values()):
            raise InputError(
                f"{name}: expected an alias of minilm-onnx, got another's; choose another name"
            )
        before = list(found)
    fresh = f"{name}-{time.time_ns()}"
    mappings = mapping(index.encoder.fingerprint, index.encoder.dimension)
    client.indices.create(index=fresh, mappings=mappings)
    try:
        actions = ({"_index": fresh, **document} for document in documents(index))
        copied, errors = helpers.bulk(client, actions, raise_on_error=False)
        if errors:
            raise MiniLMError(
                f"{name}: expected all passages to be taken, got {len(errors)} refused, "  # type: ignore[arg-type]
                f"the first: {errors[0]}; what was there before is still there"  # type: ignore[index]
            )
        client.indices.refresh(index=fresh)
        swap: list[dict[str, Any]] = [{"add": {"index": fresh, "alias": name}}]
        swap += [{"remove_index": {"index": old}} for old in before]
        client.indices.update_aliases(actions=swap)
    except BaseException:
        with suppress(Exception):  # what went wrong first says more
            client.indices.delete(index=fresh)
        raise
    return copied


def search_passages(
    encoder: SentenceEncoder,
    client: "Elasticsearch",
    query: str,
    top_k: int = 5,
    name: str = "passages",
) -> list[Result]:
    """Find the passages that are nearest to a query in meaning, as Elasticsearch's HNSW finds them.

    Args:
        encoder: the one that made the vectors, or its like.
        client: to the server.
        query: a question, or any text.
        top_k: passages to give.
        name: see `copy_passages`.

    Raises:
        InputError: the passages are another encoder's, or nobody's.
        elasticsearch.ApiError, elasticsearch.TransportError: what the client says.
    """
    top_k = check_positive("top_k", top_k, MOST)
    for found in client.indices.get_mapping(index=name).body.values():
        encoder.check_fingerprint(found["mappings"].get("_meta", {}).get("minilm_onnx", "none"))
    answer = client.search(
        index=name,
        knn={
            "field": "embedding",
            "query_vector": encoder.encode_query(folded(query), normalize_embeddings=True).tolist(),
            "k": top_k,
            "num_candidates": min(MOST, max(LEAST_CANDIDATES, CANDIDATES * top_k)),
        },
        size=top_k,
        source_excludes=["embedding"],
    )
    # It gives (1 + cosine) / 2.
    return [Result(score=2 * hit["_score"] - 1, **hit["_source"]) for hit in answer["hits"]["hits"]]
