from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.ceiling import OPERATIONS_A_TOKEN
from benchmarks.contenders import OURS, distributions, module, names
from benchmarks.environments import Note
from benchmarks.machine import busy_seconds, cpu_model, foreign_cores
from benchmarks.padding import budget_batches, masked_unit_mean, pad
from benchmarks.records import Records, key_of, open_records, read_lines
from benchmarks.report import middle, ratios, report, shares
from benchmarks.workloads import QUERIES, Workload, read_corpus, spread, where
from minilm_onnx import InputError, SentenceEncoder

CONDITIONS = {"cpu": "x", "cpus": 2, "threads": 2, "corpus_sha256": "c" * 64, "commit": "abc"}


@given(st.lists(st.integers(1, 256), max_size=80), st.integers(1, 3000))
def test_budget_batches_hold_every_text_once_and_stay_under_the_budget(
    lengths: list[int], budget: int
) -> None:
    batches = budget_batches(lengths, budget)
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(lengths[i] for i in batch) <= budget


def test_budget_batches_are_sorted_and_full() -> None:
    assert budget_batches([2, 9, 3, 3, 3], 10) == [[1], [2, 3, 4], [0]]


def test_padding_is_not_averaged() -> None:
    ids, mask = pad([[7, 8, 9], [5]])
    assert ids.tolist() == [[7, 8, 9], [5, 0, 0]]
    assert mask.tolist() == [[1, 1, 1], [1, 0, 0]]
    assert pad([[7, 8, 9]], 4)[0].tolist() == [[7, 8, 9, 0]]
    hidden = np.array([[[1, 0], [1, 2], [1, 4]], [[3, 4], [9, 9], [9, 9]]], dtype=np.float32)
    expected = np.array([[1 / 5**0.5, 2 / 5**0.5], [0.6, 0.8]], dtype=np.float32)
    np.testing.assert_allclose(masked_unit_mean(hidden, [3, 1]), expected, rtol=1e-6)


def test_spread_covers_the_whole_length() -> None:
    assert spread(10, 4) == [0, 2, 5, 7]
    assert spread(3, 9) == [0, 1, 2]


def test_a_share_keeps_texts_and_tokens_together() -> None:
    whole = Workload("corpus", list("abcd"), [10, 20, 30, 40])
    share = whole.share(2)
    assert (share.texts, share.tokens) == (["a", "c"], [10, 30])
    assert where("short", whole, range(25)).texts == ["a", "b"]
    assert whole.digest() != share.digest()
    assert whole.sample(50).tokens == [10, 30]
    assert whole.sample(1).tokens == [10]


def test_queries_have_ten_words() -> None:
    assert {len(query.split()) for query in QUERIES} == {10}


def test_a_corpus_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "corpus.jsonl"
    path.write_text('{"text": "one"}\n{"text": "two"}\n', "utf-8")
    assert read_corpus(path, 1) == ["one"]
    path.write_text('{"words": "one"}\n', "utf-8")
    with pytest.raises(InputError, match="text"):
        read_corpus(path, None)


def test_a_key_names_everything_that_changes_a_measurement() -> None:
    keys = {
        key_of(*parts)
        for parts in (
            ("a", "corpus", 0, "d", 2, "abc"),
            ("b", "corpus", 0, "d", 2, "abc"),
            ("a", "short", 0, "d", 2, "abc"),
            ("a", "corpus", 1, "d", 2, "abc"),
            ("a", "corpus", 0, "e", 2, "abc"),
            ("a", "corpus", 0, "d", 1, "abc"),
            ("a", "corpus", 0, "d", 2, "abd"),
        )
    }
    assert len(keys) == 7


def test_records_go_on_where_a_crash_left_them(tmp_path: Path) -> None:
    path = tmp_path / "raw.jsonl"
    Records(path, CONDITIONS).add("a", "corpus", 0, "d", {"seconds": 2.0, "foreign_cpu": 0.9})
    with path.open("a") as file:
        file.write('{"key": "cut sho')
    records = open_records(path, Path(__file__).parents[1], "c" * 64, 2)
    assert records.find("a", "corpus", 0, "d") == {}  # measured with other code
    records.conditions["commit"] = "abc"
    assert records.find("a", "corpus", 0, "d")["dirty"]
    assert records.find("a", "corpus", 1, "d") == {}
    records.add("a", "corpus", 1, "d", {"seconds": 3.0, "foreign_cpu": 0.0})
    assert [(line["part"], line["dirty"]) for line in read_lines(path)] == [(0, True), (1, False)]


def test_lines_that_are_not_json_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "raw.jsonl"
    path.write_text("seconds: 2\n", "utf-8")
    with pytest.raises(InputError, match="JSON"):
        read_lines(path)


def bulk(name: str, part: int, seconds: float, *, dirty: bool = False) -> dict[str, Any]:
    fields = {"batch": 8, "texts": 10, "tokens": 600, "seconds": seconds, "dirty": dirty}
    return {
        "key": f"{name}/{part}",
        "contender": name,
        "workload": "corpus",
        "part": part,
        **fields,
        **CONDITIONS,
    }


def ceiling(part: int, tokens_per_second: float) -> dict[str, Any]:
    line = bulk("ceiling", part, 1.0) | {"workload": "ceiling", "gops": 800.0}
    return line | {"tokens_per_second": tokens_per_second}


def test_ratios_are_taken_within_a_round() -> None:
    lines = [bulk(OURS, 0, 1.0), bulk("b", 0, 2.0), bulk(OURS, 1, 4.0), bulk("b", 1, 6.0)]
    lines += [bulk("b", 2, 0.1)]  # a round that this project is not in
    assert ratios(lines, "b", "corpus") == [1.0 / 2.0, 4.0 / 6.0]


def test_dirty_lines_count_only_where_there_are_no_others() -> None:
    lines = [bulk(OURS, 0, 1.0), bulk(OURS, 1, 1.0), bulk("b", 0, 2.0)]
    assert ratios([*lines, bulk("b", 1, 9.0, dirty=True)], "b", "corpus") == [0.5]
    assert ratios([*lines[:2], bulk("b", 1, 8.0, dirty=True)], "b", "corpus") == [0.125]


def test_the_share_of_the_ceiling_is_taken_within_a_round() -> None:
    lines = [ceiling(0, 1200.0), ceiling(1, 600.0), bulk("b", 0, 1.0), bulk("b", 1, 2.0)]
    assert shares(lines, "b") == [0.5, 0.5]


def test_middle_gives_median_and_range() -> None:
    assert middle([3.0, 1.0, 2.5]) == "2.50 (1.00-3.00)"
    assert middle([3.0], "{:.0f}") == "3"
    assert middle([]) == "-"


def test_the_report_holds_every_contender_fastest_first_and_every_failure() -> None:
    lines = [ceiling(0, 1200.0), bulk("b", 0, 2.0), bulk(OURS, 0, 1.0)]
    lines += [bulk("c", 0, 3.0) | {"workload": "failed", "part": "memory", "reason": "it died"}]
    text = report(lines, [Note("d", ["d==1"], "install", "no wheel\nfor this machine")])
    rows = [line for line in text.splitlines() if line.startswith(("| b |", f"| {OURS} |"))]
    assert [row.split(" | ")[0] for row in rows] == [f"| {OURS}", "| b"] * 3
    assert f"| {OURS} | - | 1.00 |" in text
    assert "| b | - | - | 300 | 8 | - | - | 5 | 25% |" in text
    assert "- c: failed at memory: it died" in text
    assert "- d: not measured, install failed: for this machine" in text
    for part in text.split("\n\n"):  # a ragged table shows as text
        if part.startswith("|"):
            assert len({row.count("|") for row in part.splitlines()}) == 1


def test_foreign_cpu_is_averaged_over_no_less_than_the_kernel_can_tell() -> None:
    assert foreign_cores(1.0, 2.0) == 0.5
    assert foreign_cores(0.02, 0.01) == 0.04
    assert foreign_cores(-0.01, 1.0) == 0.0


def test_the_machine_is_read_from_the_kernel() -> None:
    assert busy_seconds("cpu  100 0 50 7 7 1 1 48 0 0\ncpu0 1\n") == pytest.approx(2.0)
    info = "processor : 0\nmodel name : A CPU: 2\nflags : sse avx2 avx512_vnni\n"
    assert cpu_model(info) == "A CPU: 2 avx2 avx512_vnni"


def test_the_ceiling_counts_the_products_of_the_model() -> None:
    # Six layers of 12 H^2 multiply-adds, two operations each.
    assert OPERATIONS_A_TOKEN == 2 * 6 * 12 * 384**2


def test_every_contender_says_what_it_needs() -> None:
    assert names()[0] == OURS
    for name in names():
        contender = module(name)
        assert contender.BATCHES
        assert callable(contender.prepare)
        assert callable(contender.load)
        for requirement in contender.REQUIREMENTS:
            assert requirement == "." or "==" in requirement
    assert distributions(["torch==2.13.0", "."]) == ["torch", "minilm-onnx"]


def test_this_project_is_measured_through_its_own_door(encoder: SentenceEncoder) -> None:
    embed = module(OURS).load(Path(), 1)
    assert np.array_equal(embed(["a cat", "a dog"], None), encoder.encode(["a cat", "a dog"]))
