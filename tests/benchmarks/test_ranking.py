"""Rankings after each step, and how they are compared."""

import json

import numpy as np
import pytest

from benchmarks.quality_tables import DOCUMENT, kinds_table, tables
from benchmarks.ranking import STORED, as_scores, bytes_of, overlap, places, top
from minilm_onnx.vectors.pooling import l2_normalize
from minilm_onnx.vectors.quantization import Precision
from minilm_onnx.vectors.search import Hit
from tests.benchmarks.test_benchmarks import RESULTS

ROWS = l2_normalize(np.random.default_rng(5).standard_normal((300, 64)).astype(np.float32))


@pytest.mark.parametrize("precision", STORED)
def test_top_gives_the_nearest_first_and_not_the_query_itself(precision: Precision) -> None:
    scores = ROWS[:20] @ ROWS.T
    with_own = top(ROWS[:20], ROWS, precision)
    without = top(ROWS[:20], ROWS, precision, own=True)
    assert [rows[0] for rows in with_own] == list(range(20))
    assert [rows[1:] for rows in with_own] == [rows[:9] for rows in without]
    assert {len(rows) for rows in without} == {10}
    if precision == "float32":
        assert with_own == np.argsort(-scores, axis=1)[:, :10].tolist()


def test_bits_keep_less_of_a_ranking_than_bytes() -> None:
    exact, stored, bits = (top(ROWS[:50], ROWS, precision, own=True) for precision in STORED)
    assert overlap(exact, exact) == 1
    assert 0.9 < overlap(stored, exact) < 1
    assert 0.3 < overlap(bits, exact) < overlap(stored, exact)


def test_overlap_is_a_mean_over_queries_and_asks_for_no_order() -> None:
    assert overlap([[1, 2], [5, 6]], [[2, 1], [6, 7]]) == 0.75


def test_as_scores_ranks_as_found() -> None:
    assert as_scores([[2, 0]], 3).tolist() == [[0.5, 0, 1]]


def test_places_are_at_most_ten() -> None:
    hits: list[Hit] = [{"corpus_id": row, "score": 1.0} for row in range(11)]
    assert places(hits, 3) == [0, 1, 2, 4, 5, 6, 7, 8, 9, 10]
    assert places(hits, -1) == list(range(10))


def test_bytes_of_a_vector() -> None:
    assert [bytes_of(384, precision) for precision in STORED] == [1536, 384, 48]


def test_a_worst_text_cannot_break_its_table() -> None:
    row = {"kind": "code", "texts": 1, "mean": 1.0, "min": 1.0, "worst": "a | `b`"}
    assert "| `` a \\| `b` `` |" in kinds_table([row], [])


def test_the_page_says_what_the_committed_results_say() -> None:
    found, before = (
        json.loads(RESULTS.with_name(f"epyc-2-cores-quality{which}.json").read_text("utf-8"))
        for which in ("", "-before")
    )
    page = DOCUMENT.read_text("utf-8")
    for part, content in tables(found, before).items():
        assert content in page, f"{part}: run python -m benchmarks.quality --publish"
