"""Tests that passed in one environment need not run again in the next.

python -m pytest -p tests.support.once --passed-to FILE   writes the names of those that passed
python -m pytest -p tests.support.once --passed-in FILE   leaves those out
"""

from pathlib import Path

import pytest


class PassedTo:
    """Writes down which tests passed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.passed: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" and report.passed:
            self.passed.append(report.nodeid)

    def pytest_sessionfinish(self) -> None:
        self.path.write_text("".join(f"{name}\n" for name in self.passed), "utf-8")


class PassedIn:
    """Leaves out the tests that a file names."""

    def __init__(self, path: Path) -> None:
        self.passed = set(path.read_text("utf-8").splitlines())

    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        config.hook.pytest_deselected(items=[one for one in items if one.nodeid in self.passed])
        items[:] = [one for one in items if one.nodeid not in self.passed]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--passed-to", type=Path)
    parser.addoption("--passed-in", type=Path)


def pytest_configure(config: pytest.Config) -> None:
    for option, plugin in (("--passed-to", PassedTo), ("--passed-in", PassedIn)):
        path: Path | None = config.getoption(option)
        if path is not None:
            config.pluginmanager.register(plugin(path))
