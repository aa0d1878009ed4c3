"""The soak script itself: it is believed only if it can say that something is wrong."""

import json
import random
import sys

import numpy as np
import pytest

from tests import soak
from tests.soak import Held, Soak, growth, main

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="it asks Linux's /proc what the process holds"
)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soak, "TEXTS", 20)
    monkeypatch.setattr(soak, "SAMPLES", 10)


def test_growth_compares_the_last_fifth_with_the_second() -> None:
    held = [Held(900.0, 9, 9)] * 2 + [Held(100.0, 4, 7)] * 6 + [Held(112.5, 4, 6)] * 2
    assert growth(held) == {"rss_mib": 12.5, "threads": 0, "files": -1}


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
    from tests.soak_server import soaking

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
