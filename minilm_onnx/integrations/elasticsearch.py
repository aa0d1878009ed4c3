"""An index's passages in Elasticsearch, as documents with a dense_vector, by its official client.

Needs `pip install '.[elasticsearch]'` and a server of version 8 or 9,
https://www.elastic.co/docs/reference/elasticsearch/mapping-reference/dense-vector.
"""

import re
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from minilm_onnx.checks import check_positive
from minilm_onnx.encoder import SentenceEncoder
from minilm_onnx.errors import InputError, MiniLMError, importing
from minilm_onnx.index.filterparsing import parse_filter
from minilm_onnx.index.filters import (
    AllOf,
    AnyOf,
    Compare,
    Filter,
    IsNull,
    Like,
    Not,
    OneOf,
    Value,
    bound,
    parts_of,
)
from minilm_onnx.index.filtersql import column_of
from minilm_onnx.index.folding import folded
from minilm_onnx.index.results import Result
from minilm_onnx.index.textindex import TextIndex
from minilm_onnx.integrations.filters import fields_of
from minilm_onnx.reading.metadata import Moment

if TYPE_CHECKING:
    from elasticsearch import Elasticsearch

# Of which the nearest are taken, for each result and at least.
CANDIDATES, LEAST_CANDIDATES = 10, 100
MOST = 10_000  # that it takes
RANGE = {"<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}


def mapping(fingerprint: str, dimension: int) -> dict[str, Any]:
    """Return the mapping of an index of passages, which stores the encoder's fingerprint.

    Args:
        fingerprint: the encoder's fingerprint.
        dimension: the number of components of a vector.
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
            "metadata": {"type": "object", "enabled": False},
            # What filters ask for; see `fields_of`.
            "fields": {
                "type": "nested",
                "properties": {
                    "name": {"type": "keyword"},
                    "text": {"type": "keyword"},
                    "number": {"type": "double"},
                    "moment": {"type": "long"},
                },
            },
            "embedding": {
                "type": "dense_vector",
                "dims": dimension,
                "index": True,
                # The vectors have length 1, but for what float32 leaves of it.
                "similarity": "cosine",
            },
        },
    }


def matching(wanted: Filter) -> dict[str, Any]:
    """Give the query that finds the passages that match a filter."""
    match wanted:
        case Not(inner):
            return {"bool": {"must_not": [matching(inner)]}}
        case AllOf(parts):
            return {"bool": {"filter": [matching(part) for part in parts]}}
        case AnyOf(parts):
            return _any([matching(part) for part in parts])
        case IsNull(field):
            return {"bool": {"must_not": [_with_value(field)]}}
        case OneOf(field, values):
            return _with_value(field, _any([_equal(value) for value in values]))
        case Compare(field, operator, value):
            asked, limit = bound(operator, value)
            column = f"fields.{column_of(value)}"
            return _with_value(field, {"range": {column: {RANGE[asked]: limit}}})
        case Like(field, pattern):
            fits = "*".join(
                "".join("?" if one is None else re.sub(r"([*?\\])", r"\\\1", one) for one in part)
                for part in parts_of(pattern)
            )
            return _with_value(field, {"wildcard": {"fields.text": {"value": fits}}})


def _with_value(field: str, *conditions: dict[str, Any]) -> dict[str, Any]:
    """Give the query for passages of which a value of a field meets all conditions."""
    named: dict[str, Any] = {"term": {"fields.name": field}}
    return {"nested": {"path": "fields", "query": {"bool": {"filter": [named, *conditions]}}}}


def _any(queries: list[dict[str, Any]]) -> dict[str, Any]:
    return {"bool": {"should": queries, "minimum_should_match": 1}}


def _equal(value: Value) -> dict[str, Any]:
    if isinstance(value, Moment):
        return {"range": {"fields.moment": {"gte": value.first, "lt": value.after}}}
    return {"term": {f"fields.{column_of(value)}": value}}


def documents(index: TextIndex) -> Iterator[dict[str, Any]]:
    """Yield every passage as a document for the `mapping`, with its "_id"."""
    for passage in index.passages():
        yield {
            "_id": str(passage.id),
            "source": passage.source,
            "first_line": passage.first_line,
            "last_line": passage.last_line,
            "headings": passage.headings,
            "text": passage.text,
            "metadata": dict(passage.metadata),
            "fields": fields_of(passage.metadata),
            "embedding": passage.vector.tolist(),
        }


def copy_passages(index: TextIndex, client: "Elasticsearch", name: str = "passages") -> int:
    """Copy all passages of an index into Elasticsearch, and replace an earlier copy.

    They go into a new Elasticsearch index, NAME-<time>. Once all are there, the alias NAME points
    to it, and the index that it pointed to before is deleted. If a run fails, its new index is
    deleted.

    Args:
        index: the index to copy.
        client: a client of the server.
        name: the name of the alias.

    Returns:
        The number of passages copied.

    Raises:
        InputError: the package is missing, or the name belongs to an index instead of an alias.
        MiniLMError: the server rejected some passages.
        elasticsearch.ApiError, elasticsearch.TransportError: the client reported an error.
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
                f"{name}: expected an alias of minilm-onnx, got another; choose another name"
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
                f"{name}: expected all passages to be accepted, got {len(errors)} rejected, "  # type: ignore[arg-type]
                f"the first: {errors[0]}; the earlier passages are unchanged"  # type: ignore[index]
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
    where: str | None = None,
) -> list[Result]:
    """Find the passages that are nearest to a query in meaning, with Elasticsearch's HNSW index.

    Args:
        encoder: the encoder that made the vectors, or one with the same fingerprint.
        client: a client of the server.
        query: a question, or any text.
        top_k: maximum number of results.
        name: see `copy_passages`.
        where: a filter on metadata, as in `TextIndex.search`, or None. HNSW searches the passages
            that match.

    Raises:
        InputError: the passages are from another encoder or an unknown one, or the filter is
            invalid.
        elasticsearch.ApiError, elasticsearch.TransportError: the client reported an error.
    """
    top_k = check_positive("top_k", top_k, MOST)
    wanted = None if where is None else parse_filter(where)
    for found in client.indices.get_mapping(index=name).body.values():
        encoder.check_fingerprint(found["mappings"].get("_meta", {}).get("minilm_onnx", "none"))
        if wanted is not None and "fields" not in found["mappings"]["properties"]:
            raise InputError(
                f"{name}: expected passages with metadata, got those of an earlier version; "
                "call copy_passages"
            )
    knn = {
        "field": "embedding",
        "query_vector": encoder.encode_query(folded(query), normalize_embeddings=True).tolist(),
        "k": top_k,
        "num_candidates": min(MOST, max(LEAST_CANDIDATES, CANDIDATES * top_k)),
    }
    if wanted is not None:
        knn["filter"] = matching(wanted)
    answer = client.search(index=name, knn=knn, size=top_k, source_excludes=["embedding", "fields"])
    # It gives (1 + cosine) / 2.
    return [Result(score=2 * hit["_score"] - 1, **hit["_source"]) for hit in answer["hits"]["hits"]]
