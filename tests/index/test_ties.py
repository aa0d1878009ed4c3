"""Passages of equal scores come in the order in which they were added, in lists of any length."""

from pathlib import Path

import numpy as np
import pytest

from minilm_onnx import SentenceEncoder
from minilm_onnx.index import ranking
from minilm_onnx.index.filesearch import search_file
from minilm_onnx.index.ranking import FUSED, fused
from minilm_onnx.index.storage import Storage
from minilm_onnx.index.textindex import TextIndex
from tests.support.indexes import STORAGES, fill

pytest.importorskip("apsw", reason="minilm-onnx[search] is not installed")
pytest.importorskip("sqlite_vec", reason="minilm-onnx[search] is not installed")
pytest.importorskip("semantic_text_splitter", reason="minilm-onnx[search] is not installed")

QUERY = "when is my refund paid"
COPY = "Refunds are paid within ten days."


def sources(index: TextIndex, top_k: int, *, hybrid: bool) -> list[str]:
    return [result.source for result in index.search(QUERY, top_k=top_k, hybrid=hybrid)]


@pytest.mark.parametrize("storage", STORAGES)
def test_copies_come_in_the_order_in_which_they_were_added(
    db: Path,
    encoder: SentenceEncoder,
    monkeypatch: pytest.MonkeyPatch,
    storage: Storage,
) -> None:
    with TextIndex(db, encoder, storage=storage) as index:
        for number in range(15):
            # Capitals are the same to the model, though they make another text.
            index.add(f"copy {number}", COPY.upper() if number % 3 == 1 else COPY)
            index.add(f"other {number}", f"Cats sleep {number} hours.")
        # Their places in the table of vectors are taken by later ones.
        index.delete("copy 2", "copy 11", "other 14")
        index.update("copy 5", COPY + " ")
        for number in (20, 21):
            index.add(f"copy {number}", COPY)
        copies = [0, 1, 3, 4, 6, 7, 8, 9, 10, 12, 13, 14, 5, 20, 21]
        for hybrid in (False, True):
            found = sources(index, 29, hybrid=hybrid)
            assert found[: len(copies)] == [f"copy {number}" for number in copies]
            for top_k in range(1, 29):
                assert sources(index, top_k, hybrid=hybrid) == found[:top_k]
        if storage != "binary":  # more copies than can be found at a time
            monkeypatch.setattr(ranking, "MOST_FOUND", 8)
            for top_k in range(1, 9):
                assert sources(index, top_k, hybrid=False) == found[:top_k]


@pytest.mark.parametrize("hybrid", [False, True])
@pytest.mark.parametrize("storage", STORAGES)
def test_fewer_results_are_the_first_of_more(
    db: Path, encoder: SentenceEncoder, storage: Storage, hybrid: bool
) -> None:
    with TextIndex(db, encoder, storage=storage) as index:
        fill(index)
        found = sources(index, 63, hybrid=hybrid)
        assert len(set(found)) == 63
        for top_k in range(1, 63, 4):
            assert sources(index, top_k, hybrid=hybrid) == found[:top_k]


def test_longer_rankings_add_results_to_fused_ones_and_change_none() -> None:
    random = np.random.default_rng(0)
    for size in (90, 150, 400):
        rankings = [[(int(passage), 0.0) for passage in random.permutation(size)] for _ in range(2)]
        found = fused(rankings, size)
        assert [score for _, score in found] == sorted((s for _, s in found), reverse=True)
        for top_k in range(1, size, 7):
            depth = max(top_k, FUSED)
            assert fused([one[:depth] for one in rankings], top_k) == found[:top_k]


def test_equal_lines_of_a_file_come_in_its_order(tmp_path: Path, encoder: SentenceEncoder) -> None:
    file = tmp_path / "texts.txt"
    file.write_text(f"{COPY}\nCats sleep a lot.\n" * 23)
    found = search_file(encoder, file, QUERY, 46).results
    assert [result.first_line for result in found] == [*range(1, 46, 2), *range(2, 47, 2)]
    for top_k in (1, 5, 22, 30):
        assert search_file(encoder, file, QUERY, top_k).results == found[:top_k]
