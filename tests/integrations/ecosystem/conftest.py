"""Frameworks warn of their own future, which is not this project's to mend."""

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "ecosystem" in item.path.parts:
            item.add_marker(pytest.mark.filterwarnings("default"))
