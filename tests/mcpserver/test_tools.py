"""The tools and the resource, asked by the SDK's own client in this process."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mcp", reason="minilm-onnx[mcp] is not installed")
pytest.importorskip("apsw", reason="minilm-onnx[search] is not installed")

from minilm_onnx import SentenceEncoder
from minilm_onnx.index.indexing import index_paths
from minilm_onnx.index.textindex import TextIndex
from tests.mcpserver.conftest import HOURS, REFUND, RETURNS, connected

Make = Callable[..., Any]


def called(server: Any, name: str, **arguments: Any) -> Any:
    """What a tool gives."""
    result = connected(server, lambda client: client.call_tool(name, arguments))
    assert not result.is_error, result.content
    return result.structured_content


def refused(server: Any, name: str, **arguments: Any) -> str:
    """What a tool says that cannot do it: one line."""
    result = connected(server, lambda client: client.call_tool(name, arguments))
    assert result.is_error
    (content,) = result.content
    text: str = content.text
    assert "\n" not in text
    return text


def read(server: Any, uri: str) -> str:
    """What a resource says."""
    (content,) = connected(server, lambda client: client.read_resource(uri)).contents
    assert content.mime_type == "text/plain"
    text: str = content.text
    return text


def test_search_finds_what_the_index_finds(make: Make, db: Path, encoder: SentenceEncoder) -> None:
    query = "how do I get my money back"
    with TextIndex(db, encoder) as index:
        for hybrid in (False, True):
            for source in (None, "*.md", ["*.txt", "*.md"]):
                expected = index.search(query, top_k=2, hybrid=hybrid, source=source)
                found = called(
                    make(db), "search", query=query, top_k=2, hybrid=hybrid, source=source
                )
                assert found["notes"] == []
                for passage, result in zip(found["passages"], expected, strict=True):
                    assert passage.pop("uri").startswith("minilm-onnx://passages/")
                    score = passage.pop("score")
                    assert score == (result.hybrid.cosine if result.hybrid else result.score)
                    assert passage == {name: getattr(result, name) for name in passage}
                    assert len(passage) == 6


def test_search_is_filtered_by_metadata(
    make: Make, tmp_path: Path, encoder: SentenceEncoder
) -> None:
    rows = [("The kettle leaks.", "kettle", 1), ("The lamp broke.", "lamp", 2)]
    (tmp_path / "reviews.csv").write_text(
        "text,product,stars\n" + "".join(f"{text},{name},{stars}\n" for text, name, stars in rows)
    )
    with TextIndex(tmp_path / "reviews.db", encoder) as index:
        index_paths(index, [tmp_path / "reviews.csv"])
    server = make(tmp_path / "reviews.db")
    for where, stars in (("product = 'lamp'", "2"), ("stars < 2", "1")):
        for hybrid in (False, True):
            asked = {"query": "it is broken", "where": where, "hybrid": hybrid}
            (found,) = called(server, "search", **asked)["passages"]
            assert found["metadata"].pop("modified")
            assert found["metadata"] == {
                "product": "lamp" if stars == "2" else "kettle",
                "stars": stars,
            }
    found = called(server, "search", query="it is broken", where="stars > 5")
    assert found["passages"] == []


def test_a_passage_is_read_by_its_uri(make: Make, db: Path, notes: Path) -> None:
    server = make(db)
    (passage,) = called(server, "search", query="when are you open?", top_k=1)["passages"]
    assert (passage["source"], passage["headings"]) == (f"{notes}/shop.md", "Orders > Hours")
    assert read(server, passage["uri"]) == HOURS
    (template,) = connected(
        server, lambda client: client.list_resource_templates()
    ).resource_templates
    assert template.uri_template == "minilm-onnx://passages/{source}/{lines}"


def test_a_source_may_have_any_name(make: Make, tmp_path: Path, encoder: SentenceEncoder) -> None:
    names = [
        "a b/ü?c=d#e%2Ff.md",
        "https://shop.example/faq?page=2#top",
        "../up",
        "minilm-onnx://x",
    ]
    with TextIndex(tmp_path / "odd.db", encoder) as index:
        for name in names:
            index.add(name, f"This is {name}.")
    server = make(tmp_path / "odd.db")
    found = called(server, "search", query="what is this?")["passages"]
    assert sorted(passage["source"] for passage in found) == sorted(names)
    for passage in found:
        text = read(server, passage["uri"])
        assert text == passage["text"] == f"This is {passage['source']}."


def test_a_long_row_is_read_whole(make: Make, tmp_path: Path, encoder: SentenceEncoder) -> None:
    """Its passages have the same lines."""
    text = " ".join(f"Sentence {number} is about cats." for number in range(99))
    with TextIndex(tmp_path / "long.db", encoder) as index:
        assert index.add("cats", text).passages > 2
        index.add("dogs", "A dog barks.")
    server = make(tmp_path / "long.db")
    found = called(server, "search", query="cats", top_k=9)["passages"]
    uri = next(one["uri"] for one in found if one["source"] == "cats")
    assert {one["uri"] for one in found if one["source"] == "cats"} == {uri}
    assert read(server, uri).replace("\n\n", " ") == text
    # None of its own passages is similar to it.
    assert [one["source"] for one in called(server, "similar", uri=uri)["passages"]] == ["dogs"]


def test_similar_finds_the_neighbours_of_a_passage(make: Make, db: Path) -> None:
    server = make(db)
    found = called(server, "search", query=RETURNS, top_k=1)["passages"]
    similar = called(server, "similar", uri=found[0]["uri"])
    assert [one["text"] for one in similar["passages"]] == [REFUND, HOURS]
    assert similar["notes"] == []
    assert 1 > similar["passages"][0]["score"] > similar["passages"][1]["score"]
    assert len(called(server, "similar", uri=found[0]["uri"], top_k=1)["passages"]) == 1


def test_status_says_what_is_indexed(make: Make, db: Path, notes: Path) -> None:
    status = called(make(db), "status")
    assert status["database"] == str(db)
    assert (status["passages"], status["sources"]) == (3, 2)
    assert status["source_names"] == [f"{notes}/refunds.txt", f"{notes}/shop.md"]
    assert status["fields"] == ["modified"]
    assert status["storage"] == "float32"
    assert status["model"].startswith("all-MiniLM-L6-v2:int8:")
    assert (status["max_tokens"], status["may_index"], status["notes"]) == (256, [], [])
    assert called(make(db, notes), "status")["may_index"] == [str(notes)]


def test_status_says_that_not_all_sources_are_listed(
    make: Make, tmp_path: Path, encoder: SentenceEncoder
) -> None:
    with TextIndex(tmp_path / "many.db", encoder) as index:
        for number in range(101):
            index.add(f"{number:03}", "the same text")
    status = called(make(tmp_path / "many.db"), "status")
    assert status["source_names"] == [f"{number:03}" for number in range(100)]
    assert status["notes"] == ["100 of 101 sources are listed"]


def test_notes_say_what_the_model_did_not_read_of_a_question(make: Make, db: Path) -> None:
    server = make(db)
    notes = called(server, "search", query="cat " * 400)["notes"]
    assert notes == ["the query was truncated at 256 of its 402 tokens"]
    (note,) = called(server, "search", query="ᚠᛇᚻ ᛒᛦᚦ ᚠᚱᚩᚠᚢᚱ")["notes"]
    assert note.startswith("the query is mostly unknown to the model (100% of its tokens)")
    found = called(server, "search", query="cat", source="nothing/*")
    assert found["passages"] == []
    assert found["notes"] == [
        "no results: there are no passages, or none that fit source and where"
    ]
    asked = {"query": "cat", "where": "modified < 2000-01-01"}
    assert called(server, "search", **asked)["notes"][1:] == []
    asked["where"] = "lnag = 'en'"
    assert called(server, "search", **asked)["notes"][1:] == [
        "no passage has the field lnag; there are modified"
    ]


def test_notes_name_passages_that_the_model_does_not_know(
    make: Make, tmp_path: Path, encoder: SentenceEncoder
) -> None:
    with TextIndex(tmp_path / "runes.db", encoder) as index:
        with pytest.warns(UserWarning, match="unknown"):
            index.add("runes", "ᚠᛇᚻ ᛒᛦᚦ ᚠᚱᚩᚠᚢᚱ")
        index.add("cats", "A cat.")
    server = make(tmp_path / "runes.db")
    found = called(server, "search", query="a cat")
    assert found["notes"] == ["1 of these are mostly unknown to the model: runes:1"]
    uri = next(one["uri"] for one in found["passages"] if one["source"] == "cats")
    assert called(server, "similar", uri=uri)["notes"] == found["notes"]


def test_a_server_that_only_reads_has_no_tool_that_writes(make: Make, db: Path) -> None:
    server = make(db)
    tools = connected(server, lambda client: client.list_tools()).tools
    assert [tool.name for tool in tools] == ["search", "similar", "status"]
    assert all(tool.annotations.read_only_hint for tool in tools)
    assert all(tool.description and tool.output_schema for tool in tools)
    assert refused(server, "index", paths=["notes"]) == "Unknown tool: index"


def test_every_argument_is_described(make: Make, db: Path, notes: Path) -> None:
    tools = connected(make(db, notes), lambda client: client.list_tools()).tools
    assert {tool.name: set(tool.input_schema["properties"]) for tool in tools} == {
        "search": {"query", "top_k", "source", "where", "hybrid"},
        "similar": {"uri", "top_k"},
        "status": set(),
        "index": {"paths"},
    }
    for tool in tools:
        assert all("description" in one for one in tool.input_schema["properties"].values())


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("search", {}, "search: query: Field required"),
        ("search", {"query": " "}, "query: expected some words, got an empty text"),
        ("search", {"query": 7}, "search: query: Input should be a valid string"),
        ("search", {"query": "a", "top_k": 0}, "top_k: expected a positive int"),
        ("search", {"query": "a", "top_k": 4097}, "top_k: expected at most 4096, got 4097"),
        ("search", {"query": "a", "top_k": "x"}, "search: top_k: Input should be a valid integer"),
        ("search", {"query": "a", "top_k": True}, "top_k: Input should be a valid integer"),
        ("search", {"query": "a", "top_k": "3"}, "top_k: Input should be a valid integer"),
        ("search", {"query": "a", "top_k": 3.0}, "top_k: Input should be a valid integer"),
        ("search", {"query": "a", "hybrid": 1}, "hybrid: Input should be a valid boolean"),
        ("search", {"query": "a", "hybrid": "no"}, "hybrid: Input should be a valid boolean"),
        ("search", {"query": "a", "source": ["a", 1]}, "search: source."),
        ("similar", {"uri": "a", "top_k": "3"}, "top_k: Input should be a valid integer"),
        ("search", {"query": "a", "source": ""}, "source: expected a pattern"),
        (
            "search",
            {"query": "a", "topk": 3},
            "expected only hybrid, query, source, top_k, where, got topk",
        ),
        ("search", {"query": "a", "where": "lang = en"}, "where: expected a value such as 'text'"),
        ("similar", {"uri": "notes.md"}, "uri: expected a passage as minilm-onnx://passages/"),
        ("similar", {"uri": "minilm-onnx://passages/a/1"}, "expected two numbers such as 12-15"),
        ("similar", {"uri": "minilm-onnx://passages/a/0-1"}, "first_line: expected a positive int"),
        ("similar", {"uri": "minilm-onnx://passages/a/1-2"}, "expected a passage at lines 1-2"),
        ("nothing", {}, "Unknown tool: nothing"),
    ],
)
def test_wrong_arguments_are_refused_in_one_line(
    make: Make, db: Path, name: str, arguments: dict[str, Any], said: str
) -> None:
    assert said in refused(make(db), name, **arguments)


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("minilm-onnx://passages/a/1-2", "a: expected a passage at lines 1-2, got none"),
        ("minilm-onnx://passages/a/one", "lines: expected two numbers such as 12-15, got 'one'"),
        ("file:///etc/hostname", "Unknown resource: file:///etc/hostname"),
    ],
)
def test_a_resource_that_is_none_is_an_error_in_one_line(
    make: Make, db: Path, uri: str, said: str
) -> None:
    from mcp import MCPError

    async def said_of(client: Any) -> str:
        with pytest.raises(MCPError) as error:
            await client.read_resource(uri)
        return str(error.value)

    assert connected(make(db), said_of).startswith(said)


def test_a_database_that_is_damaged_later_is_a_line(make: Make, db: Path) -> None:
    server = make(db)
    db.write_bytes(b"no database, and as long as a header of one has to be: " * 40)
    assert "expected" in refused(server, "search", query="cat")


def test_a_database_that_was_replaced_is_opened_anew(
    make: Make, db: Path, notes: Path, encoder: SentenceEncoder
) -> None:
    server = make(db, notes)
    assert called(server, "status")["sources"] == 2
    with TextIndex(db.with_name("other.db"), encoder) as other:
        other.add("other", "A kettle.")
    db.with_name("other.db").rename(db)
    assert called(server, "status")["source_names"] == ["other"]
    db.unlink()
    said = "expected an index, got none, since nothing is indexed yet; call the tool index"
    assert said in refused(server, "search", query="kettle")
    assert not list(db.parent.glob("notes.db*"))
    called(server, "index", paths=["refunds.txt"])
    (found,) = called(server, "search", query="kettle")["passages"]
    assert found["text"] == REFUND


def test_a_database_that_was_deleted_is_missing(make: Make, db: Path) -> None:
    server = make(db)
    called(server, "status")
    db.unlink()
    assert "notes.db: expected an index, got none; make one" in refused(server, "status")
