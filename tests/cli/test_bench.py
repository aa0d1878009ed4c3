import json
import platform
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minilm_onnx import SentenceEncoder
from minilm_onnx.cli import bench, main
from minilm_onnx.engine import native as operators
from minilm_onnx.engine.native import LEFT_OUT
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


def words(found: Any) -> Iterator[str]:
    """Every string in JSON, names of keys too."""
    if isinstance(found, dict):
        yield from found
        found = list(found.values())
    if isinstance(found, list):
        for one in found:
            yield from words(one)
    elif isinstance(found, str):
        yield found


@pytest.fixture
def no_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An installation whose library could not be compiled; the compiler's words name folders."""
    (tmp_path / LEFT_OUT).write_text(f"cc: {tmp_path}/encoder.c: no such file\n", "utf-8")
    monkeypatch.setattr(operators, "FOLDER", tmp_path)
    operators.native.cache_clear()
    yield
    operators.native.cache_clear()


@pytest.fixture
def jane(encoder: SentenceEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user, and her copy of the model."""
    for name in ("HOME", "USERPROFILE", "USER", "LOGNAME", "USERNAME", "HOSTNAME"):
        monkeypatch.setenv(name, "/home/jane")
    monkeypatch.setattr(socket, "gethostname", lambda: "janes-laptop")
    monkeypatch.setattr(platform, "node", lambda: "janes-laptop")
    return Path(shutil.copytree(encoder.folder, tmp_path / "jane"))


def check_nothing_personal(facts: dict[str, Any], folder: Path) -> None:
    every = list(words(facts))
    assert facts["cpu"] in every
    for word in every:
        assert not Path(word).is_absolute(), word
        for personal in ("jane", str(folder.parent), str(Path(bench.__file__).parent)):
            assert personal not in word


@pytest.mark.usefixtures("brief")
def test_bench_json_says_what_was_measured_and_not_by_whom(
    jane: Path, encoder: SentenceEncoder, capsys: pytest.CaptureFixture[str]
) -> None:
    before = time.strftime("%Y-%m-%d", time.gmtime())
    assert main(["bench", "--seconds", "0.05", "--model", str(jane), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["format"] == bench.FORMAT
    assert before <= facts["date"] <= time.strftime("%Y-%m-%d", time.gmtime())
    assert encoder.manifest
    assert facts["graph"] == encoder.manifest.files["model.onnx"]
    library = operators.native()
    assert facts["native"]["kernel"] == (library.kernel if library else None)
    check_nothing_personal(facts, jane)


@pytest.mark.usefixtures("brief", "no_library")
def test_bench_json_does_not_repeat_what_a_compiler_said(
    jane: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert str(jane.parent) in operators.why_no_library()
    assert main(["bench", "--seconds", "0.05", "--model", str(jane), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["native"]["kernel"] is None
    check_nothing_personal(facts, jane)


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
