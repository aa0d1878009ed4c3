"""What the measurement of filtered searches keeps and says."""

import json
from typing import Any

from benchmarks.filters import DOCUMENT, STORAGES, joined, table
from tests.benchmarks.test_benchmarks import RESULTS

COMMITTED = RESULTS.with_name("epyc-2-cores-filters.json")


def row(passages: int, storage: str, ms: float) -> dict[str, Any]:
    return {
        "passages": passages,
        "storage": storage,
        "cpu": "a CPU",
        "cpus": 2,
        "load_average": 1.0,
        "file_mib": 1.0,
        "peak_rss_mib": 1.0,
        "cpu_ms": {name: [ms, ms, 9 * ms] for name in ("none", "1/2", "1/100", "1/10,000")},
    }


def test_a_row_takes_the_place_of_its_like_and_rows_are_in_order() -> None:
    rows: list[dict[str, Any]] = []
    for one in (
        row(20, "int8", 1),
        row(10, "binary", 2),
        row(20, "float32", 3),
        row(20, "int8", 4),
    ):
        rows = joined(rows, one)
    found = [(one["passages"], one["storage"], one["cpu_ms"]["none"][0]) for one in rows]
    assert found == [(10, "binary", 2), (20, "float32", 3), (20, "int8", 4)]


def test_how_far_one_file_goes_is_on_a_line_through_two_times() -> None:
    rows = [row(1000, storage, 10) for storage in STORAGES]
    assert "So a search" not in table(rows)
    rows += [row(11_000, storage, 60) for storage in STORAGES]
    assert "less than 100 ms up to about 19,000 passages as float32, " in table(rows)
    assert "| 11,000 | binary | 60 | 60 | 60 | 60 | 1 | 1 |" in table(rows)


def test_the_page_says_what_the_committed_results_say() -> None:
    rows = json.loads(COMMITTED.read_text("utf-8"))
    said = table(rows)
    assert said in DOCUMENT.read_text("utf-8"), "run python -m benchmarks.filters --publish"
    assert {one["passages"] for one in rows} >= {10_000, 100_000}
