import json
import subprocess
import sys

import numpy as np
import pytest

from minilm_onnx import SentenceEncoder
from minilm_onnx.cli import bench, main
from minilm_onnx.measure import ceiling
from minilm_onnx.measure.sample import QUANTILES, sample_texts


def test_the_sample_is_as_long_as_real_texts(encoder: SentenceEncoder) -> None:
    lengths = encoder.tokenize_texts(sample_texts(2000)).lengths
    found = np.quantile(lengths, np.linspace(0, 1, len(QUANTILES)))
    np.testing.assert_allclose(found[1:-1], QUANTILES[1:-1], rtol=0.12, atol=2)


def test_the_sample_is_the_same_every_time() -> None:
    texts = sample_texts(50)
    assert texts == sample_texts(60)[:50]
    assert texts[1] == "Rafael said that the chimney had"


def test_the_ceiling_counts_the_products_of_the_model() -> None:
    # Six layers of 12 H^2 multiply-adds, two operations each.
    assert ceiling.OPERATIONS_A_TOKEN == 2 * 6 * 12 * 384**2


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "LENGTHS", (8, 32))
    monkeypatch.setattr(bench, "MOST_CALLS", 3)
    monkeypatch.setattr(bench, "LEAST_TEXTS", 8)
    monkeypatch.setattr(ceiling, "SECONDS", 0.01)


@pytest.mark.usefixtures("brief")
def test_bench_says_what_was_measured(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--seconds", "0.05", "--threads", "1", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    bulk = facts["bulk"]
    assert bulk["texts"] >= 8
    assert bulk["tokens_per_second"] == pytest.approx(
        bulk["texts_per_second"] * bulk["tokens"] / bulk["texts"]
    )
    assert set(facts["latency_ms"]) == {"8", "32"}
    assert facts["ceiling"]["tokens_per_second"] > 0
    assert facts["policy"]["threads"] == 1
    assert facts["published"]["tokens_per_second"]["minilm_onnx"] > 0


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")
def test_the_peak_is_this_process_own_and_not_of_who_started_it() -> None:
    """As where a notebook that holds much runs the command."""
    child = "from minilm_onnx.measure.memory import peak_rss_mib; print(peak_rss_mib())"
    parent = (
        "import subprocess, sys; much = b'1' * 2**29; "
        f"subprocess.run([sys.executable, '-c', {child!r}], check=True)"
    )
    call = [sys.executable, "-c", parent]
    found = subprocess.run(call, capture_output=True, text=True, check=True).stdout
    assert 5 < float(found) < 400


@pytest.mark.usefixtures("brief")
def test_bench_compares_with_the_published_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--seconds", "0.05"]) == 0
    printed = dict(line.split(None, 1) for line in capsys.readouterr().out.splitlines())
    published = json.loads(bench.PUBLISHED.read_text("utf-8"))
    assert f"on {published['cpu']}, {published['threads']} threads; here" in printed["published"]
    assert "texts/s" in printed["bulk"]
    assert "GOP/s" in printed["ceiling"]


@pytest.mark.parametrize("seconds", ["0", "-1", "inf", "nan"])
def test_bench_refuses_a_time_that_is_none(
    seconds: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", "--seconds", seconds]) == 2
    assert "--seconds: expected a positive number" in capsys.readouterr().err
