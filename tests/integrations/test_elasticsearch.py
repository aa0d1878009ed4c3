"""What is sent to Elasticsearch, by its own client to a server that only takes notes.

No live server was ever asked: there is none in the registries that this project is built from.
"""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from minilm_onnx import InputError, MiniLMError, SentenceEncoder
from minilm_onnx.index.textindex import TextIndex
from minilm_onnx.integrations import elasticsearch as bridge
from tests.conftest import documented

pytest.importorskip("apsw", reason="minilm-onnx[search] is not installed")
client_package = pytest.importorskip(
    "elasticsearch", reason="minilm-onnx[elasticsearch] is not installed"
)


class Notes(HTTPServer):
    """A server that takes notes, and answers as Elasticsearch's documentation says it does."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[tuple[str, str, str]] = []
        self.indices: dict[str, Any] = {}
        self.aliases: dict[str, str] = {}
        self.documents: dict[str, Any] = {}
        self.refuse = False


class Handler(BaseHTTPRequestHandler):
    server: Notes
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def handle_request(self) -> None:
        size = int(self.headers.get("content-length") or 0)
        body = self.rfile.read(size).decode()
        path = self.path.partition("?")[0]
        self.server.requests.append((self.command, path, body))
        code, answer = self.answer(path, body)
        data = json.dumps(answer).encode()
        self.send_response(code)
        self.send_header("X-Elastic-Product", "Elasticsearch")
        self.send_header("Content-Type", "application/vnd.elasticsearch+json;compatible-with=9")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = handle_request  # noqa: N815  http.server's names

    def answer(self, path: str, body: str) -> tuple[int, Any]:
        notes = self.server
        name = path.strip("/").partition("/")[0]
        if path == "/_bulk":
            lines = [json.loads(line) for line in body.splitlines()]
            items = []
            for action, document in zip(lines[::2], lines[1::2], strict=True):
                notes.documents[action["index"]["_id"]] = document
                fault = {"error": {"reason": "no"}} if notes.refuse else {}
                items.append(
                    {
                        "index": {
                            "_id": action["index"]["_id"],
                            "status": 400 if fault else 201,
                            **fault,
                        }
                    }
                )
            return 200, {"errors": notes.refuse, "items": items}
        if path == "/_aliases":
            for action in json.loads(body)["actions"]:
                for kind, what in action.items():
                    if kind == "add":
                        notes.aliases[what["alias"]] = what["index"]
                    else:
                        del notes.indices[what["index"]]
            return 200, {"acknowledged": True}
        if path.startswith("/_alias/"):
            alias = path.split("/")[2]
            if alias in notes.aliases:
                return 200, {notes.aliases[alias]: {"aliases": {alias: {}}}}
            return 404, {"error": "alias missing", "status": 404}
        if path.endswith("/_mapping"):
            target = notes.aliases.get(name, name)
            return 200, {target: {"mappings": notes.indices[target]["mappings"]}}
        if path.endswith("/_search"):
            source = {"source": "a", "first_line": 1, "last_line": 2, "headings": "", "text": "t"}
            source |= {"metadata": {"year": 2020}}
            return 200, {"hits": {"hits": [{"_score": 0.75, "_source": source}]}}
        if self.command == "PUT":
            notes.indices[name] = json.loads(body)
        if self.command == "DELETE":
            del notes.indices[name]
        if self.command == "HEAD":
            return (200 if name in notes.indices or name in notes.aliases else 404), {}
        return 200, {"acknowledged": True}


@pytest.fixture
def notes() -> Iterator[Notes]:
    server = Notes()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def client(notes: Notes) -> Iterator[Any]:
    with client_package.Elasticsearch(f"http://127.0.0.1:{notes.server_port}") as client:
        yield client


@pytest.fixture
def index(tmp_path: Path, encoder: SentenceEncoder) -> Iterator[TextIndex]:
    with TextIndex(tmp_path / "a.db", encoder) as index:
        for number in range(3):
            index.add(f"{number}", f"Text {number}.", metadata={"n": number, "day": "2026-01-31"})
        yield index


def test_every_passage_is_sent_into_an_index_that_takes_the_name_at_the_end(
    index: TextIndex, client: Any, notes: Notes, encoder: SentenceEncoder
) -> None:
    assert bridge.copy_passages(index, client, "texts") == 3
    (made,) = notes.indices
    assert notes.aliases == {"texts": made}
    assert notes.indices[made]["mappings"] == bridge.mapping(encoder.fingerprint, 384)
    for number, passage in enumerate(index.passages()):
        sent = notes.documents[str(passage.id)]
        assert (sent["source"], sent["text"]) == (passage.source, passage.text)
        assert sent["embedding"] == passage.vector.tolist()
        assert sent["metadata"] == passage.metadata == {"n": number, "day": "2026-01-31"}
        assert sent["fields"] == [
            {"name": "n", "text": f"{number}", "number": number},
            {"name": "day", "text": "2026-01-31", "moment": 1769817600_000000},
        ]
        assert set(sent) == set(bridge.mapping("", 384)["properties"])
    assert bridge.copy_passages(index, client, "texts") == 3
    assert list(notes.indices) == [notes.aliases["texts"]] != [made]


def test_what_is_refused_leaves_what_was_there(index: TextIndex, client: Any, notes: Notes) -> None:
    bridge.copy_passages(index, client, "texts")
    before = dict(notes.aliases)
    notes.refuse = True
    with pytest.raises(MiniLMError, match="got 3 rejected"):
        bridge.copy_passages(index, client, "texts")
    assert notes.aliases == before
    assert list(notes.indices) == [before["texts"]]
    notes.indices["customers-1"] = {"mappings": {}}
    notes.aliases["customers"] = "customers-1"
    with pytest.raises(InputError, match="got another; choose"):
        bridge.copy_passages(index, client, "customers")
    assert "customers-1" in notes.indices
    notes.indices["plain"] = {}
    with pytest.raises(InputError, match="got an index"):
        bridge.copy_passages(index, client, "plain")


def test_a_question_is_a_knn_search_and_its_score_a_cosine(
    index: TextIndex, client: Any, notes: Notes, encoder: SentenceEncoder
) -> None:
    bridge.copy_passages(index, client, "texts")
    (found,) = bridge.search_passages(encoder, client, "what?", top_k=20, name="texts")
    assert (found.score, found.source, found.last_line) == (0.5, "a", 2)
    _, _, body = notes.requests[-1]
    asked = json.loads(body)
    assert asked["knn"]["query_vector"] == encoder.encode("what?").tolist()
    assert (asked["knn"]["k"], asked["knn"]["num_candidates"], asked["size"]) == (20, 200, 20)
    other = SentenceEncoder(threads=1)
    other.max_seq_length = 128
    with pytest.raises(InputError, match="fingerprint"):
        bridge.search_passages(other, client, "x", name="texts")


def of(name: str, *asked: dict[str, Any]) -> dict[str, Any]:
    """The query for passages with such a value."""
    within = {"bool": {"filter": [{"term": {"fields.name": name}}, *asked]}}
    return {"nested": {"path": "fields", "query": within}}


def one_of(*queries: dict[str, Any]) -> dict[str, Any]:
    return {"bool": {"should": list(queries), "minimum_should_match": 1}}


@pytest.mark.parametrize(
    ("where", "query"),
    [
        ("a = 'x'", of("a", one_of({"term": {"fields.text": "x"}}))),
        (
            "a in (1, 2)",
            of("a", one_of({"term": {"fields.number": 1.0}}, {"term": {"fields.number": 2.0}})),
        ),
        ("a >= 3", of("a", {"range": {"fields.number": {"gte": 3.0}}})),
        ("a > 1970-01-01", of("a", {"range": {"fields.moment": {"gte": 86_400_000_000}}})),
        (
            "a = 1970-01-01",
            of("a", one_of({"range": {"fields.moment": {"gte": 0, "lt": 86_400_000_000}}})),
        ),
        (r"a like '%*_\%'", of("a", {"wildcard": {"fields.text": {"value": r"*\*?%"}}})),
        ("a is null", {"bool": {"must_not": [of("a")]}}),
        ("not a is null", {"bool": {"must_not": [{"bool": {"must_not": [of("a")]}}]}}),
        (
            "a < 1 and (b < 1 or c < 1)",
            {
                "bool": {
                    "filter": [
                        of("a", {"range": {"fields.number": {"lt": 1.0}}}),
                        one_of(
                            of("b", {"range": {"fields.number": {"lt": 1.0}}}),
                            of("c", {"range": {"fields.number": {"lt": 1.0}}}),
                        ),
                    ]
                }
            },
        ),
    ],
)
def test_a_filter_is_a_query_within_the_knn_search(
    index: TextIndex, client: Any, notes: Notes, encoder: SentenceEncoder, where: str, query: Any
) -> None:
    bridge.copy_passages(index, client, "texts")
    (found,) = bridge.search_passages(encoder, client, "what?", name="texts", where=where)
    assert found.metadata == {"year": 2020}
    assert json.loads(notes.requests[-1][2])["knn"]["filter"] == query


def test_a_filter_needs_passages_with_metadata(
    index: TextIndex, client: Any, notes: Notes, encoder: SentenceEncoder
) -> None:
    bridge.copy_passages(index, client, "texts")
    for made in notes.indices.values():
        del made["mappings"]["properties"]["fields"]
    with pytest.raises(InputError, match="got those of an earlier version"):
        bridge.search_passages(encoder, client, "x", name="texts", where="a = 1")
    with pytest.raises(InputError, match="where: expected"):
        bridge.search_passages(encoder, client, "x", name="texts", where="a")


@pytest.mark.usefixtures("outgrown")
def test_the_documented_way_works(client: Any, notes: Notes) -> None:
    address = f"http://127.0.0.1:{notes.server_port}"
    code = documented("outgrow.md", "elasticsearch").replace("http://localhost:9200", address)
    exec(code, {})  # the project's own document
    assert len(notes.documents) == 1
