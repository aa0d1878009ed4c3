"""Pinned and newest versions of what the bridges are tested with."""

import re
from pathlib import Path

import pytest

from tests.support import versions
from tests.support.versions import NEWEST, ROOT, TESTS, pinned, pins

pytestmark = pytest.mark.skipif(not NEWEST.exists(), reason="not a checkout")


def numbers(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", text)]


def test_the_table_is_what_its_generator_writes() -> None:
    assert versions.DOCUMENT.read_text("utf-8") == versions.render(), "stale: run just generate"


def test_every_package_is_pinned_and_was_tried_at_its_newest() -> None:
    newest = pins(NEWEST)
    for name, wanted in pinned().items():
        assert numbers(newest[name]) >= numbers(wanted), name


def test_every_framework_has_tests_that_exist() -> None:
    named = {test.partition("::")[0] for tests in TESTS.values() for test in tests}
    assert [path for path in named if not (ROOT / path).is_file()] == []
    apart = (ROOT / "tests/integrations/ecosystem").glob("test_*.py")
    bridges = {str(path.relative_to(ROOT)) for path in apart if path.name != "test_docs.py"}
    assert bridges <= named


def test_tests_of_what_is_not_pinned_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    here = {**pinned(), "llm": "99.0"}
    monkeypatch.setattr(versions, "version", here.__getitem__)
    assert versions.tests_of_others() == list(TESTS["llm"])
    monkeypatch.setattr(versions, "version", pins(NEWEST).__getitem__)
    assert versions.released_since() == []


def test_what_is_installed_is_written_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "newest.txt"
    path.write_text("# tried on 2020-01-01\nray[data]==1.0\nllm==0.1\n", "utf-8")
    monkeypatch.setattr(versions, "NEWEST", path)
    monkeypatch.setattr(versions, "version", {"ray": "2.0", "llm": "0.1"}.__getitem__)
    assert versions.released_since() == ["ray 2.0 (tried: 1.0)"]
    versions.write()
    day, *rest = path.read_text("utf-8").splitlines()
    assert re.fullmatch(r"# tried on 20[2-9]\d-\d\d-\d\d", day)
    assert "2020" not in day
    assert rest == ["ray[data]==2.0", "llm==0.1"]
