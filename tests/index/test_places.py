"""Passages by where they stand, and their neighbours."""

from pathlib import Path

import numpy as np
import pytest

from minilm_onnx import InputError, SentenceEncoder
from minilm_onnx.index.indexing import index_paths
from minilm_onnx.index.textindex import TextIndex
from tests.support.indexes import TEXTS

pytest.importorskip("apsw", reason="minilm-onnx[search] is not installed")
pytest.importorskip("sqlite_vec", reason="minilm-onnx[search] is not installed")
pytest.importorskip("semantic_text_splitter", reason="minilm-onnx[search] is not installed")


def test_similar_finds_what_brute_force_finds(filled: TextIndex, encoder: SentenceEncoder) -> None:
    names = list(TEXTS)
    vectors = encoder.encode(list(TEXTS.values()))
    for name in ("shop/cats/3.txt", "shop/refunds/0.txt"):
        scores = vectors @ vectors[names.index(name)]
        order = [place for place in np.argsort(-scores, kind="stable") if names[place] != name]
        found = filled.similar(name, 1, 1, top_k=4)
        if filled.storage == "float32":
            assert [result.source for result in found] == [names[place] for place in order[:4]]
        assert name not in {result.source for result in found}
        np.testing.assert_allclose(
            [result.score for result in found], scores[order[:4]], atol=0.005
        )


def test_passages_of_a_place_are_all_that_stand_there(index: TextIndex) -> None:
    count = index.add("cats", "Sentence on cats. " * 99).passages
    index.add("dogs", "A dog barks.")
    found = index.passages_at("cats", 1, 1)
    assert len(found) == count > 1
    assert {(one.source, one.first_line, one.last_line) for one in found} == {("cats", 1, 1)}
    for one, same in zip(
        found, (one for one in index.passages() if one.source == "cats"), strict=True
    ):
        assert (one.id, one.text) == (same.id, same.text)
        assert np.array_equal(one.vector, same.vector)
    (result,) = index.similar("cats", 1, 1)
    middle = np.sum([one.vector for one in found], axis=0)
    (dog,) = index.passages_at("dogs", 1, 1)
    assert result.score == pytest.approx(
        float(dog.vector @ middle / np.linalg.norm(middle)), abs=1e-5
    )


@pytest.mark.parametrize(
    ("place", "said"),
    [
        (("cats", 1, 2), "cats: expected a passage at lines 1-2, got none; the source may have"),
        (("cat", 1, 1), "cat: expected a passage at lines 1-1, got none"),
        (("cats", 0, 1), "first_line: expected a positive int"),
        (("cats", 1, 2**64), "last_line: expected at most"),
        ((b"cats", 1, 1), "expected a str, got bytes"),
    ],
)
def test_a_place_without_a_passage_is_an_error(
    index: TextIndex, place: tuple[str, int, int], said: str
) -> None:
    index.add("cats", "A cat.")
    for ask in (index.similar, index.passages_at):
        with pytest.raises(InputError, match=said.replace(".", r"\.")):
            ask(*place)
    with pytest.raises(InputError, match="top_k: expected at most 4096"):
        index.similar("cats", 1, 1, top_k=5000)


def test_a_check_may_refuse_files_before_they_are_read(index: TextIndex, tmp_path: Path) -> None:
    folder = tmp_path / "notes"
    folder.mkdir()
    for name in ("good.txt", "bad.txt"):
        (folder / name).write_text("A text.")

    def check(file: Path) -> None:
        if file.name == "bad.txt":
            raise InputError(f"{file}: expected a good one")

    done = index_paths(index, [folder], check=check)
    assert list(done.changed) == [f"{folder}/good.txt"]
    assert list(done.refused) == [f"{folder}/bad.txt"]
    with pytest.raises(InputError, match="expected a good one"):
        index_paths(index, [folder / "bad.txt"], check=check)
