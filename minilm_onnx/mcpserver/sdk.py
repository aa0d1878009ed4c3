"""The SDK of the protocol: whether it is installed, in a version that this package works with."""

import re
from importlib.util import find_spec
from pathlib import Path

from minilm_onnx.errors import InputError, installing

# As in pyproject.toml.
FIRST, BEYOND = (2, 3), (3, 0)
EXPECTED = ">=2.3,<3"


def check_sdk() -> None:
    """Raise InputError if the SDK is not installed, or in another version; it is not imported."""
    got = _installed()
    found = re.match(r"(\d+)\.(\d+)", got)
    if not found or not FIRST <= (int(found[1]), int(found[2])) < BEYOND:
        raise InputError(f"mcp: expected the package mcp{EXPECTED}, got {got}; {installing('mcp')}")


def _installed() -> str:
    """Give the version that is installed, or "none"."""
    spec = find_spec("mcp")
    if spec is None or spec.origin is None:
        return "none"
    # The name of a folder says it. importlib.metadata would delay the first answer, so it is asked
    # only where there is no such folder (an editable install), or more than one.
    names = [one.name for one in Path(spec.origin).parents[1].glob("mcp-*.dist-info")]
    if len(names) == 1:
        return names[0].removeprefix("mcp-").removesuffix(".dist-info")
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("mcp")
    except PackageNotFoundError:
        return f"one of unknown version at {spec.origin}"
