"""TextIndex: finds what brute force finds, by meaning and by words, and says what is wrong."""

import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from minilm_onnx import DatabaseError, InputError, SentenceEncoder
from minilm_onnx.index.filesearch import search_file
from minilm_onnx.index.indexing import index_paths
from minilm_onnx.index.patterns import composed
from minilm_onnx.index.ranking import Ranked, by_words, fused
from minilm_onnx.index.sqlite import connect
from minilm_onnx.index.storage import rescored, stored, unstored
from minilm_onnx.index.textindex import TextIndex
from minilm_onnx.index.words import words_of
from tests.conftest import documented
from tests.support.indexes import TEXTS, TOPICS, fill

pytest.importorskip("apsw", reason="minilm-onnx[search] is not installed")
pytest.importorskip("sqlite_vec", reason="minilm-onnx[search] is not installed")
pytest.importorskip("semantic_text_splitter", reason="minilm-onnx[search] is not installed")


def test_search_finds_what_brute_force_finds(filled: TextIndex, encoder: SentenceEncoder) -> None:
    vectors = encoder.encode(list(TEXTS.values()))
    for query in ("may I send it back?", "cat food", "when are you open"):
        scores = vectors @ encoder.encode(query)
        order = np.argsort(-scores, kind="stable")[:5]
        found = filled.search(query, top_k=5)
        if filled.storage == "float32":
            assert [result.source for result in found] == [list(TEXTS)[i] for i in order]
        np.testing.assert_allclose([result.score for result in found], scores[order], atol=0.005)
        assert all(TEXTS[result.source] == result.text for result in found)


def test_vectors_come_back_as_they_are_kept(filled: TextIndex, encoder: SentenceEncoder) -> None:
    storage = filled.storage
    found = {passage.source: passage.vector for passage in filled.passages()}
    exact = encoder.encode(list(TEXTS.values()))
    back = np.stack([found[source] for source in TEXTS])
    assert back.dtype == np.float32
    if storage == "float32":
        assert np.array_equal(back, exact)
    assert (back * exact).sum(axis=1).min() > 0.9995
    assert np.abs(np.linalg.norm(back, axis=1) - 1).max() < 1e-5
    ((kept, codes),) = stored(np.zeros((1, 384), dtype=np.float32), storage)
    assert np.array_equal(unstored(kept, codes, storage, 384), np.zeros(384, dtype=np.float32))


def test_bytes_beside_bits_are_compared_as_what_they_stand_for(encoder: SentenceEncoder) -> None:
    vectors = encoder.encode(list(TEXTS.values())[:20])
    codes = [kept for _, kept in stored(vectors, "binary")]
    expected = [unstored(b"", kept, "binary", 384) @ vectors[0] for kept in codes]
    np.testing.assert_allclose(rescored(codes, vectors[0]), expected, atol=1e-6)
    for wrong in (None, codes[0][:-1] if codes[0] else b""):
        with pytest.raises(DatabaseError, match="a vector"):
            rescored([*codes, wrong], vectors[0])


def test_sources_are_added_once_updated_and_deleted(index: TextIndex) -> None:
    assert index.add("a", "one cat").embedded == 1
    with pytest.raises(InputError, match="a: expected a source that the index does not have"):
        index.add("a", "another")
    assert index.search("cat")[0].text == "one cat"
    assert index.update("a", "one dog").passages == 1
    index.update("b", "a train")
    assert [result.text for result in index.search("cat")] == ["one dog", "a train"]
    assert index.sources() == {"a": 1, "b": 1}
    assert index.delete("a", "c") == 1
    assert index.sources() == {"b": 1}
    assert len(index) == 1
    assert index.delete() == 0
    index.update("b", " ")
    assert index.sources() == {"b": 0}
    assert index.search("train") == []


def test_only_new_passages_are_embedded(index: TextIndex) -> None:
    parts = [f"Part {n} is about {TOPICS[n % 7]}. " + "It goes on a while. " * 30 for n in range(8)]
    first = index.add("a", "\n\n".join(parts))
    assert first.embedded == first.passages == 8
    parts[3] = "A new part about ships. " + "It goes on a while. " * 30
    assert index.update("a", "\n\n".join(parts)).embedded == 1
    assert index.add("moved", "\n\n".join(parts)).embedded == 0
    assert index.search("ships", top_k=1)[0].text.startswith("A new part about ships.")


def test_a_hybrid_search_finds_a_word_that_vectors_overlook(index: TextIndex) -> None:
    fill(index)
    index.add("codes", "Error XK9931 means that the tank is empty.")
    assert index.search("XK9931", top_k=1, hybrid=True)[0].source == "codes"
    assert index.search('"; DROP * AND (NEAR', hybrid=True)
    assert index.search("???", hybrid=True)


def test_a_hybrid_search_says_where_it_found_a_passage(filled: TextIndex) -> None:
    """The ranks, which a sum does not tell, and the cosine, that of a search by meaning alone."""
    for name in ("a", "b"):  # more than the first 100 of a ranking
        for number in range(25):
            filled.add(f"{name}/{number}", f"Shop {name} {number} on refunds and on trains.")
    filled.add("codes", "XK9931")
    query = "refunds and XK9931"
    alone = {one.source: one for one in filled.search(query, top_k=200)}
    ranks = {source: rank for rank, source in enumerate(alone, 1)}
    found = {one.source: one for one in filled.search(query, top_k=200, hybrid=True)}
    assert found.keys() == alone.keys()
    assert alone["codes"].hybrid is None
    words = [one.hybrid.words for one in found.values() if one.hybrid and one.hybrid.words]
    assert sorted(words) == list(range(1, 1 + 50 + 9 + 1))
    for source, one in found.items():
        assert one.hybrid is not None
        assert one.hybrid.meaning == ranks[source]
        assert one.hybrid.cosine == pytest.approx(alone[source].score, abs=1e-6)
    for one in filled.search(query, hybrid=True):
        assert one.hybrid is not None
        sums = (1 / (60 + rank) for rank in (one.hybrid.words, one.hybrid.meaning) if rank)
        assert one.score == pytest.approx(sum(sums))


def test_a_passage_found_by_words_alone_has_no_rank_by_meaning(index: TextIndex) -> None:
    for number in range(120):
        index.add(f"{number}", f"Opening hours of shop {number}.")
    index.add("soup", "Zebra soup: boil the carrots, add the onions, stir.")
    query = "opening hours of the zebra"
    (soup,) = [one for one in index.search(query, hybrid=True, top_k=100) if one.source == "soup"]
    assert soup.hybrid is not None
    assert (soup.hybrid.words, soup.hybrid.meaning, soup.score) == (1, None, 1 / 61)
    cosine = index.encoder.encode(query) @ index.encoder.encode(soup.text)
    assert soup.hybrid.cosine == pytest.approx(float(cosine), abs=1e-6)


def test_ranks_are_fused_by_their_reciprocals() -> None:
    found = fused([[(1, 0.9), (2, 0.8), (3, 0.7)], [(3, 5.0), (4, 4.0)]], 3)
    assert found == [(3, 1 / 63 + 1 / 61), (1, 1 / 61), (2, 1 / 62)]


@pytest.mark.parametrize("hybrid", [False, True])
def test_sources_can_be_chosen(index: TextIndex, hybrid: bool) -> None:
    fill(index)
    for pattern, part in (
        ("shop/cats/*", "shop/cats/"),
        ("cats/*", "shop/cats/"),
        ("*/3.txt", "/3.txt"),
        ("shop/trains/1.txt", "shop/trains/1.txt"),
    ):
        found = index.search("refunds", hybrid=hybrid, source=pattern, top_k=50)
        expected = [source for source in TEXTS if part in source]
        assert sorted(result.source for result in found) == sorted(expected)
    assert index.search("refunds", hybrid=hybrid, source="nowhere/*") == []
    both = index.search("refunds", hybrid=hybrid, source=["cats", "./*/3.txt"], top_k=50)
    assert len({result.source for result in both}) == 9 + 6


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("notes/", "abc"),
        ("./notes//", "abc"),
        ("{cwd}/notes/", "abc"),
        (".", "abc"),
        ("..", "abcd"),
        ("../*/notes", "abc"),
        ("notes/deep/..", "abc"),
        ("notes/./a.md", "a"),
        ("notes/[b] *", "b"),
        ("[b] x.md", "b"),
        ("notes/[ab].md", ""),
        ("r\u00e9sum\u00e9.md", "c"),
        ("re\u0301sume\u0301.md", "c"),
        ("caf\u00e9/", "d"),
        ("https://a.example/x/", "e"),
    ],
)
def test_a_source_is_chosen_however_its_path_is_written(
    index: TextIndex, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, pattern: str, found: str
) -> None:
    cwd = tmp_path / "work"
    cwd.mkdir()
    monkeypatch.chdir(cwd)
    for name, source in {
        "a": f"{cwd}/notes/a.md",
        "b": f"{cwd}/notes/[b] x.md",
        "c": f"{cwd}/notes/re\u0301sum\u00e9.md",
        "d": f"{tmp_path}/cafe\u0301/d.md",
        "e": "https://a.example/x/",
    }.items():
        index.add(source, name)
    results = index.search("x", source=pattern.format(cwd=cwd))
    assert "".join(sorted(result.text for result in results)) == found


def test_a_long_question_is_searched_by_its_first_words(index: TextIndex) -> None:
    index.add("a", "a text about zebras")
    many = [f"w{number}" for number in range(10_000)]
    assert words_of(" ".join([*many[:3], *many])) == many[:512]
    assert words_of("x" * 2**20) == ["x" * 2**14]
    assert index.search(" ".join(["zebras", *many]), hybrid=True)[0].score == 2 / 61
    assert by_words_of(index, " ".join([*many, "zebras"])) == []


def by_words_of(index: TextIndex, query: str) -> list[Ranked]:
    with index._store.reading() as connection:
        return by_words(connection, query, 5)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no timers")
def test_ctrl_c_ends_a_search_that_is_under_way(db: Path) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    connection = connect(db, writable=True, create=True)
    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    try:
        with pytest.raises(KeyboardInterrupt):
            connection.execute(
                "CREATE TABLE numbers AS WITH RECURSIVE up (n) AS "
                "(SELECT 1 UNION ALL SELECT n + 1 FROM up LIMIT 10000000) SELECT n FROM up"
            )
    finally:
        signal.signal(signal.SIGALRM, before)
    assert connection.execute("SELECT * FROM sqlite_schema").fetchall() == []  # it did not end


def test_headings_help_to_find_and_are_given(index: TextIndex) -> None:
    index.add(
        "m.md", "# Trains\n\nThey leave at nine.\n\n# Boats\n\nThey leave at ten.", markdown=True
    )
    (best,) = index.search("when do boats leave", top_k=1)
    assert (best.headings, best.text, best.first_line) == ("Boats", "They leave at ten.", 7)
    (best,) = index.search("boats", top_k=1, hybrid=True)
    assert best.text == "They leave at ten."


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda i: i.search(""), "empty"),
        (lambda i: i.search(" \n"), "empty"),
        (lambda i: i.search(3), "int 3"),
        (lambda i: i.search("x", top_k=0), "top_k"),
        (lambda i: i.search("x", top_k=5000), "at most 4096"),
        (lambda i: i.search("\ud800"), "surrogate"),
        (lambda i: i.search("x", source="\ud800"), "surrogate"),
        (lambda i: i.search("x", source=""), "source"),
        (lambda i: i.add("", "x"), "source"),
        (lambda i: i.add("a\0b", "x"), "source"),
        (lambda i: i.add("a", None), "None"),
        (lambda i: i.add(1, "x"), "int 1"),
        (lambda i: i.add("a", "\udc00"), "surrogate"),
        (lambda i: i.delete(3), "int 3"),
    ],
)
def test_wrong_arguments_are_refused(
    index: TextIndex, call: Callable[[TextIndex], object], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        call(index)
    assert len(index) == 0


def test_texts_with_anything_in_them_come_back(index: TextIndex) -> None:
    for number, text in enumerate(
        ["a\0b", "' OR 1=1 --", "🎉 \u202e rtl", "%s {x} \\", "x" * 5000]
    ):
        index.add(f"{number}", text)
        assert index.search(text, top_k=9, hybrid=True)
    assert sorted(p.text for p in index.passages())[0] == "%s {x} \\"


def test_an_encoder_that_changes_is_refused(index: TextIndex) -> None:
    own = SentenceEncoder(threads=1)
    with TextIndex(index.path, own) as changed:
        own.prompts["document"] = "passage: "
        for call in (lambda: changed.add("a", "x"), lambda: changed.search("x")):
            with pytest.raises(InputError, match="as it was when the index was opened"):
                call()
    with pytest.raises(InputError, match="expected an index by"):
        TextIndex(index.path, own)


def test_all_passages_are_given_as_they_were_at_first(index: TextIndex) -> None:
    fill(index)
    given = index.passages()
    first = next(given)
    index.update(first.source, "new words")
    index.delete("shop/cats/1.txt")
    assert len([first, *given]) == len(TEXTS)


def test_unreadable_texts_are_warned_of(index: TextIndex) -> None:
    with pytest.warns(UserWarning, match="1 of 1 texts are mostly unknown"):
        assert index.add("a", "ᚠᚢᚦ ᚨᚱᚲ ᚷᚹᚺ").unreadable == 1


def test_a_page_does_not_glue_its_words(
    index: TextIndex, tmp_path: Path, encoder: SentenceEncoder
) -> None:
    file = tmp_path / "a.txt"
    file.write_text("How to get a refund\fHow to reset a password")
    index_paths(index, [file])
    found = index.search("password")
    assert [result.text for result in found] == ["How to reset a password", "How to get a refund"]
    assert search_file(encoder, file, "password").results[0].text == "How to reset a password"
    row = tmp_path / "a.jsonl"
    row.write_text('{"text": "How to get a refund\\u000bOther words"}')
    (result,) = search_file(encoder, row, "refund").results
    assert result.text == "How to get a refund\nOther words"


def test_the_documented_way_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    exec(documented("search.md", "search"), {})  # the project's own document
    first, *_, last = capsys.readouterr().out.splitlines()
    assert "faq/returns:1 Send it back" in first
    assert last == "{'faq/returns': 1}"


@pytest.mark.parametrize("hybrid", [False, True])
def test_a_pattern_is_compared_with_each_source_and_not_with_its_passages(
    tmp_path: Path, encoder: SentenceEncoder, monkeypatch: pytest.MonkeyPatch, hybrid: bool
) -> None:
    compared: list[object] = []

    def counted(*names: object) -> object:
        compared.append(names)
        return composed(*names)

    monkeypatch.setattr("minilm_onnx.index.sqlite.composed", counted)
    with TextIndex(tmp_path / "index.db", encoder) as index:
        index.add(
            "a.md", "\n\n".join(f"# Cat {place}\n\nA cat." for place in range(50)), markdown=True
        )
        index.add("b.md", "A dog.")
        assert len(index) == 51
        assert {one.source for one in index.search("cat", hybrid=hybrid, source="a.*")} == {"a.md"}
    assert len(compared) <= 4 * 2  # ways to fit, sources
