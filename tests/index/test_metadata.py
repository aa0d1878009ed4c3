"""Metadata: from files and Python into an index, out of it in results, and searched by."""

import json
import os
import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minilm_onnx import DatabaseError, InputError, SentenceEncoder
from minilm_onnx.index import ranking
from minilm_onnx.index.filesearch import search_file
from minilm_onnx.index.filterparsing import parse_filter
from minilm_onnx.index.filters import matches
from minilm_onnx.index.indexing import index_paths
from minilm_onnx.index.ranking import by_words, nearest
from minilm_onnx.index.scope import scope_of
from minilm_onnx.index.storage import Storage
from minilm_onnx.index.textindex import TextIndex
from minilm_onnx.reading.metadata import kept, time_of, values_of
from tests.support.documents import NUMBER, TOLERANCE, blocks
from tests.support.indexes import STORAGES, content, fill_randomly, without_metadata
from tests.support.running import run

apsw = pytest.importorskip("apsw", reason="minilm-onnx[search] is not installed")
pytest.importorskip("sqlite_vec", reason="minilm-onnx[search] is not installed")
pytest.importorskip("semantic_text_splitter", reason="minilm-onnx[search] is not installed")
pytest.importorskip("yaml", reason="minilm-onnx[search] is not installed")

DAY = 1_700_000_000  # 2023-11-14T22:13:20Z
YAML = """---
title: On refunds
tags: [money, shop]
date: 2024-03-01
draft: no
author:
  name: Ann
---

# Refunds

Refunds take ten days.
"""
FILES = {
    "front.md": YAML,
    "toml.md": "+++\ntitle = 'Hours'\ndate = 2025-05-05\n+++\n\n# Hours\n\nOpen until six.\n",
    "rows.jsonl": '{"text": "Parcels come by boat.", "lang": "en", "stars": 4, "none": null}\n'
    '{"text": "Les colis viennent en bateau.", "lang": "fr", "stars": 5.5}\n',
    "rows.csv": "text,lang,stars\nCats like boxes.,en,3\nHunde bellen.,de,\n",
    "plain.txt": "Trains leave hourly.\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "notes").mkdir()
    for name, text in FILES.items():
        (tmp_path / "notes" / name).write_text(text, "utf-8")
        os.utime(tmp_path / "notes" / name, (DAY, DAY))
    return tmp_path / "notes"


def found(index: TextIndex, where: str, **options: Any) -> set[str]:
    """The ends of the texts that a filter lets through."""
    results = index.search("anything", top_k=100, where=where, **options)
    return {result.text.split()[-1] for result in results}


def counts(db: Path) -> list[int]:
    connection = apsw.Connection(str(db))
    tables = ("documents", "terms", "postings")
    return [connection.execute(f"SELECT count(*) FROM {table}").get for table in tables]


def test_files_say_what_their_passages_are_found_by(
    folder: Path, db: Path, encoder: SentenceEncoder
) -> None:
    modified = time_of(DAY)
    assert modified == "2023-11-14T22:13:20Z"
    with TextIndex(db, encoder) as index:
        index_paths(index, [folder])
        metadata = {
            result.text.split()[-1]: dict(result.metadata)
            for result in index.search("anything", top_k=100)
        }
        assert metadata["days."] == {
            "title": "On refunds",
            "tags": ["money", "shop"],
            "date": "2024-03-01",
            "draft": "no",
            "author": {"name": "Ann"},
            "modified": modified,
        }
        assert metadata["six."] == {"title": "Hours", "date": "2025-05-05", "modified": modified}
        assert metadata["boat."] == {"lang": "en", "stars": 4, "modified": modified}
        assert metadata["bellen."] == {"lang": "de", "modified": modified}
        assert metadata["hourly."] == {"modified": modified}
        assert {p.text.split()[-1]: dict(p.metadata) for p in index.passages()} == metadata
        assert found(index, "lang = 'en'") == {"boat.", "boxes."}
        assert found(index, "stars >= 4") == {"boat.", "bateau."}
        assert found(index, "stars < 4 or stars is null and lang is not null") == {
            "boxes.",
            "bellen.",
        }
        assert "days." in found(index, "tags = 'money' and author.name like 'A%' and draft = 'no'")
        assert found(index, "date > 2024-03-01") >= {"six."}
        assert found(index, "modified = 2023-11-14") == set(metadata)
        assert found(index, "modified != 2023-11-14") == set()
        assert found(index, "lang = 'en'", hybrid=True) == {"boat.", "boxes."}
        assert found(index, "lang = 'en'", source="*.csv") == {"boxes."}


def test_columns_of_a_table_are_metadata_but_for_vectors_and_bytes(
    tmp_path: Path, db: Path, encoder: SentenceEncoder
) -> None:
    pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    from pyarrow import parquet

    table = pa.table(
        {
            "text": ["a cat", "a dog", None],
            "n": [1, None, 3],
            "share": pa.array([0.1, 0.5, 1], pa.float32()),
            "kind": pa.array(["pet", "pet", "wild"]).dictionary_encode(),
            "day": pa.array([19783, None, 0], pa.date32()),
            "at": pa.array([1_709_287_200_123_456_789, None, None]).cast(
                pa.timestamp("ns", tz="Europe/Berlin")
            ),
            "price": pa.array(["1.50", None, None]).cast(pa.decimal128(5, 2)),
            "tags": [["a", "b"], [], None],
            "vector": pa.array([[1.0, 2.0]] * 3, pa.list_(pa.float32())),
            "raw": [b"1", b"2", b"3"],
        }
    )
    path = tmp_path / "rows.parquet"
    parquet.write_table(table, path)
    with TextIndex(db, encoder) as index:
        outcome = index_paths(index, [path])
        (left_out,) = outcome.left_out.values()
        assert left_out == ["field 'vector' (list<element: float>)", "field 'raw' (binary)"]
        first, second = (dict(passage.metadata) for passage in index.passages())
        del first["modified"], second["modified"]
        assert first.pop("at").startswith("2024-03-01 10:00:00.123456789")
        assert first == {
            "n": 1,
            "share": 0.1,
            "kind": "pet",
            "day": "2024-03-01",
            "price": "1.50",
            "tags": ["a", "b"],
        }
        assert second == {"share": 0.5, "kind": "pet", "tags": []}
        assert found(index, "day = 2024-03-01 and price = 1.5 and share = 0.1") == {"cat"}
        assert found(index, "at >= 2024-03-01T11:00+01:00 and tags in ('b')") == {"cat"}


def test_a_new_time_alone_is_noted_and_nothing_is_written_anew(
    folder: Path, db: Path, encoder: SentenceEncoder
) -> None:
    with TextIndex(db, encoder) as index:
        index_paths(index, [folder])
        before = [passage.id for passage in index.passages()]
        os.utime(folder / "plain.txt", (DAY + 86_400, DAY + 86_400))
        outcome = index_paths(index, [folder])
        assert (outcome.unchanged, outcome.changed) == (len(FILES), {})
        assert [passage.id for passage in index.passages()] == before
        assert found(index, "modified >= 2023-11-15") == {"hourly."}


def test_what_goes_leaves_no_metadata(folder: Path, db: Path, encoder: SentenceEncoder) -> None:
    with TextIndex(db, encoder) as index:
        index_paths(index, [folder])
        assert min(counts(db)) > 0
        for file in folder.iterdir():
            file.unlink()
        index_paths(index, [folder])
    assert counts(db) == [0, 0, 0]
    content(db, encoder)


def test_an_index_of_before_is_read_and_has_metadata_after_the_next_run(
    folder: Path, db: Path, encoder: SentenceEncoder
) -> None:
    with TextIndex(db, encoder) as index:
        index_paths(index, [folder])
    with apsw.Connection(str(db)) as connection:
        without_metadata(connection)
        connection.execute("UPDATE sources SET digest = x'00'")  # by the rules of then
    with TextIndex(db, encoder) as index:
        assert index.search("refunds")[0].metadata == {}
        assert {len(passage.metadata) for passage in index.passages()} == {0}
        with pytest.raises(InputError, match="expected an index with metadata, got one of an earl"):
            index.search("refunds", where="lang = 'en'")
        outcome = index_paths(index, [folder])
        assert sum(change.embedded for change in outcome.changed.values()) == 0
        assert found(index, "lang = 'en'") == {"boat.", "boxes."}
    content(db, encoder)


def test_passages_of_before_are_not_missed_by_a_filter_in_silence(
    folder: Path, db: Path, encoder: SentenceEncoder
) -> None:
    with TextIndex(db, encoder) as index:
        index_paths(index, [folder])
    with apsw.Connection(str(db)) as connection:
        without_metadata(connection)
        connection.execute("UPDATE sources SET digest = x'00'")
    with TextIndex(db, encoder) as index:
        index_paths(index, [folder / "rows.jsonl"])  # a part, which is then of this version
        index.add("another", "one cat", metadata={"lang": "en"})
        with pytest.raises(InputError, match=r"an earlier version wrote passages of .*; bring it"):
            index.search("refunds", where="lang = 'en'")
        index_paths(index, [folder])
        assert found(index, "lang = 'en'") == {"boat.", "boxes.", "cat"}


def test_metadata_from_python(db: Path, encoder: SentenceEncoder) -> None:
    with TextIndex(db, encoder) as index:
        assert index.add("a", "one cat", metadata={"year": 2020, "tags": ["x"]}).passages == 1
        index.add("b", "two cats", metadata={"year": 2021})
        index.add("c", YAML, markdown=True, metadata={"title": "mine"})
        assert found(index, "year >= 2021") == {"cats"}
        assert {r.metadata["title"] for r in index.search("x", where="author.name = 'Ann'")} == {
            "mine"
        }
        assert index.update("b", "two cats", metadata={"year": 2019}).embedded == 0
        assert found(index, "year >= 2020") == {"cat"}
        assert index.update("b", "two cats").embedded == 0
        assert found(index, "year > 0") == {"cat"}
        wrong: list[Any] = [3, [1], {1: 2}, {"a": b"x"}, {"a": [0.5] * 101}, {"a": "x" * 1001}]
        for metadata in wrong:
            with pytest.raises(InputError, match=r"^metadata: expected"):
                index.add("d", "text", metadata=metadata)
        with pytest.warns(UserWarning, match="front matter .no valid YAML"):
            index.add("e", "---\ntitle: {{ x }}: y: z\n---\n\nText.", markdown=True)
        assert "d" not in index.sources()


@pytest.mark.parametrize("few", [0, 1000])
@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("where", ["n < 30", "n >= 30", "kind = 'even'", "n = 17", "n > 1000"])
def test_the_best_that_match_are_the_best_of_those_that_match(
    db: Path,
    encoder: SentenceEncoder,
    storage: Storage,
    where: str,
    few: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ranking, "FEW", few)
    monkeypatch.setattr(ranking, "OF_EACH", 1)
    metadata = [{"n": n, "kind": "even" if n % 2 == 0 else "odd"} for n in range(300)]
    wanted = parse_filter(where)
    random = np.random.default_rng(3)
    with TextIndex(db, encoder, storage=storage) as index:
        fill_randomly(index, metadata)
        matching = {
            passage.id
            for passage in index.passages()
            if matches(wanted, values_of(passage.metadata))
        }
        query = random.standard_normal(384).astype(np.float32)
        query /= np.linalg.norm(query)
        with index._reading() as connection:
            scope = scope_of(connection, (), wanted)
            every = nearest(connection, index._facts, query, 300)
            words = by_words(connection, "word1", 300)
            for top_k in (1, 10, 300):
                expected = [one for one in every if one[0] in matching][:top_k]
                assert nearest(connection, index._facts, query, top_k, scope) == expected
                expected = [one for one in words if one[0] in matching][:top_k]
                assert by_words(connection, "word1", top_k, scope) == expected


def test_metadata_that_is_damaged_is_said(db: Path, encoder: SentenceEncoder) -> None:
    with TextIndex(db, encoder) as index:
        index.add("a", "one cat", metadata={"year": 2020})
    for wrong in ("[1]", "{", "3"):
        with apsw.Connection(str(db)) as connection:
            connection.execute("UPDATE documents SET fields = ?", (wrong,))
        with TextIndex(db, encoder) as index, pytest.raises(DatabaseError, match="metadata as"):
            index.search("cat")


def test_a_file_is_searched_by_its_metadata(folder: Path, encoder: SentenceEncoder) -> None:
    def texts(name: str, where: str) -> list[str]:
        results = search_file(encoder, folder / name, "anything", where=where).results
        return [result.text.split()[-1] for result in results]

    assert texts("rows.jsonl", "stars > 4") == ["bateau."]
    assert texts("rows.csv", "stars > 4") == []
    assert texts("rows.csv", "stars = 3") == ["boxes."]
    assert "days." in texts("front.md", "date = 2024-03-01")
    assert texts("plain.txt", "modified = 2023-11-14") == ["hourly."]
    (result,) = search_file(encoder, folder / "rows.csv", "x", where="lang = 'de'").results
    assert result.metadata == {"lang": "de", "modified": "2023-11-14T22:13:20Z"}


def test_the_command_filters_and_shows_metadata(
    folder: Path, db: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "wrong.md").write_text("---\ntitle: {{ x }}: y: z\n---\n\nText.\n", "utf-8")
    code, _, said = run(capsys, "index", folder, "--db", db)
    assert code == 0
    assert "wrong.md: indexed without the metadata of front matter (no valid YAML" in said
    search = ("search", "--db", db, "--where")
    code, out, _ = run(capsys, *search, "stars = 4", "anything")
    assert code == 0
    place, described, text = out.splitlines()
    assert place.endswith("rows.jsonl:1")
    assert (described.strip(), text.strip()) == ("lang: en; stars: 4", "Parcels come by boat.")
    code, out, _ = run(capsys, *search, "stars = 4", "anything", "--json")
    assert json.loads(out)[0]["metadata"]["stars"] == 4
    code, out, said = run(capsys, *search, "stars = 44", "anything")
    assert (code, out) == (1, "")
    assert said == "no results: there are no passages whose metadata matches stars = 44\n"
    code, out, said = run(
        capsys, *search, "lang = 'en' and not (start > 2 or stars > 2)", "anything"
    )
    assert (code, out, said.count("\n")) == (1, "", 1)
    assert "; no passage has the field start; there are " in said
    with TextIndex(db) as index:
        assert said.endswith(f" {', '.join(index.fields())}\n")
        assert {"lang", "modified", "stars"} <= {*index.fields()}
    for where in (("search", folder / "rows.csv", "--where"), search):
        code, out, said = run(capsys, *where, "stars = ", "anything")
        assert (code, out, said.count("\n")) == (2, "", 1)
        assert "where: expected a value such as 'text', 3.5 or 2026-01-31 at character 9" in said
    code, out, said = run(capsys, *search, "stars = 4", "--where", "lang = 'en'", "anything")
    assert (code, out, said.count("\n")) == (2, "", 1)
    assert "expected one filter, got 2; join them with and" in said


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ([1] * 101, "more than 100 values"),
        ("x" * 1001, "more than 1000 characters"),
        ("a\0b", "no valid text"),
        ("\ud800", "no valid text"),
        (b"x", "a bytes"),
        (10**400, "a number of more than 1000 bits"),
    ],
)
def test_what_is_no_metadata_is_left_out_and_said(value: Any, why: str) -> None:
    assert kept({"a": value, "b": 1}) == ({"b": 1}, (f"field 'a' ({why})",))


def test_front_matter_that_refers_to_itself_ends() -> None:
    from minilm_onnx.reading.frontmatter import front_metadata

    text = "---\na: &a [x, x]\nb: &b [*a, *a]\nc: &c [*c]\n" + "---\n"
    metadata, left_out = front_metadata(text)
    assert metadata == {"a": ["x", "x"], "b": [["x", "x"], ["x", "x"]]}
    assert left_out == ("field 'c' (more than 100 values)",)
    bomb = ["a: &a [x, x, x, x, x, x, x, x]"]
    for before, name in zip("abcdefgh", "bcdefghi", strict=True):
        bomb.append(f"{name}: &{name} [{', '.join([f'*{before}'] * 8)}]")
    metadata, left_out = front_metadata("---\n" + "\n".join(bomb) + "\n---\n")
    assert set(metadata) == {"a", "b"}
    assert len(left_out) == 7


def test_the_documented_session_prints_what_the_page_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (session,) = (one for one in blocks("docs/search.md") if one.mark == "session filters")
    _, *steps = re.split(r"^\$ ", session.code, flags=re.MULTILINE)
    assert len(steps) == 6
    for step in steps:
        command, _, shown = step.partition("\n")
        program, *words = shlex.split(command)
        if program == "cat":  # the file is what the page shows
            Path(words[0]).write_text(shown, "utf-8")
            continue
        assert program == "minilm-onnx"
        code, out, said = run(capsys, *words)
        printed = out if code == 0 else said
        assert NUMBER.sub("#", printed) == NUMBER.sub("#", shown), command
        scores, expected = (
            [float(line.split()[0]) for line in text.splitlines() if line.startswith("0.")]
            for text in (printed, shown)
        )
        assert scores == pytest.approx(expected, abs=TOLERANCE)
