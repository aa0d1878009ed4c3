"""The soak script itself: it is believed only if it can say that something is wrong."""

import json
import random
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.support import soak
from tests.support.soak import Held, Soak, growth, main

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="it asks Linux's /proc what the process holds"
)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soak, "TEXTS", 20)
    monkeypatch.setattr(soak, "SAMPLES", 10)
    monkeypatch.setattr(soak, "WARM_UP", 0.5)


def test_growth_compares_the_last_fifth_with_the_second() -> None:
    early = [Held(100.0, 4, 7), Held(130.0, 4, 7)]
    late = [Held(150.0, 4, 9), Held(112.5, 4, 6)]
    held = [Held(90.0, 9, 9)] * 2 + early + [Held(80.0, 4, 7)] * 4 + late
    assert growth(held) == {"rss_mib": 12.5, "threads": 0, "files": -1}


def test_what_is_kept_is_seen(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    held = iter([Held(100.0, 9, 9)] * 18 + [Held(110.1, 9, 9)] * 2)
    monkeypatch.setattr(soak, "held", lambda pid: next(held))
    assert main(["--minutes", "0.01", "--callers", "1"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert not report["ok"]
    assert report["wrong"] == 0
    assert report["grown"] == {"rss_mib": 10.1, "threads": 0, "files": 0}


def test_callers_rest_while_what_is_held_is_looked_at(tmp_path: Path) -> None:
    small = Soak()
    before = small.at_rest()
    with (tmp_path / "open").open("w"):
        kept = np.ones(10_000_000, dtype=np.float32)
        after = small.at_rest()
    assert after.files == before.files + 1
    assert after.rss_mib - before.rss_mib == pytest.approx(kept.nbytes / 2**20, abs=5)
    del kept
    assert small.at_rest().rss_mib - before.rss_mib == pytest.approx(0, abs=5)


def test_right_vectors_are_no_complaint() -> None:
    small = Soak()
    small.run(1.0, 2)
    assert small.vectors
    assert small.wrong == []


def test_one_wrong_bit_is_seen() -> None:
    small = Soak()
    small.expected = np.nextafter(small.expected, np.float32(2))
    small.run(0.5, 1)
    assert any("other bits" in wrong for wrong in small.wrong)


def test_an_exception_is_seen(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> int:
        raise RuntimeError("boom")

    monkeypatch.setattr(Soak, "same", fail)
    assert main(["--minutes", "0.01", "--callers", "1"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert not report["ok"]
    assert any("RuntimeError: boom" in wrong for wrong in report["first_wrong"])


def test_a_server_is_soaked_too() -> None:
    pytest.importorskip("uvicorn", reason="minilm-onnx[server] is not installed")
    pytest.importorskip("httpx", reason="httpx is not installed")
    from tests.support.soak_server import soaking

    with soaking() as small:
        kinds = small.kinds()
        small.run(1.0, 2)
        for number, kind in enumerate(dict.fromkeys(kinds)):
            kind(random.Random(number))
        assert small.vectors
        assert small.wrong == []
        small.expected = np.nextafter(small.expected, np.float32(2))
        small.tei(random.Random(0))
    assert any("other bits" in wrong for wrong in small.wrong)
