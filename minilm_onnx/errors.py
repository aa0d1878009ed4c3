"""The errors this package raises.

MiniLMError
  InputError(ValueError)   the caller's texts or options
  ArtifactError            model folder missing, altered or unfamiliar
  SessionError             onnxruntime refused; the original as __cause__
  DatabaseError            a database damaged, locked, foreign or full; likewise
"""

from collections.abc import Iterator
from contextlib import contextmanager


class MiniLMError(Exception):
    """The base class of all errors that this package raises on purpose."""


class InputError(MiniLMError, ValueError):
    """A text or an option is invalid."""


class ArtifactError(MiniLMError):
    """The model folder is missing, was altered, or has an unknown format."""


class SessionError(MiniLMError):
    """onnxruntime could not load or run the graph. Its own error is in `__cause__`."""


class DatabaseError(MiniLMError):
    """A database cannot be read or written. SQLite's own error is in `__cause__`."""


@contextmanager
def importing(what: str, packages: str, extra: str) -> Iterator[None]:
    """Say what to install where an import in the block fails.

    Args:
        what: what needs the packages.
        packages: their names.
        extra: of minilm-onnx, which brings them.

    Raises:
        InputError: they cannot be imported.
    """
    try:
        yield
    except ImportError as error:
        raise InputError(
            f"{what}: expected {packages}, got {error}; {installing(extra)}"
        ) from error


def installing(extra: str) -> str:
    """Say how to install an extra: from a clone, since no package index has this package yet."""
    return f"run pip install '.[{extra}]' in a clone of minilm-onnx"


# Characters of what somebody gave that a message repeats.
MOST_SHOWN = 200


def shown(value: object) -> str:
    """Give a wrong value as a message shows it: on one line, not endless, whatever it is."""
    try:
        return shorten(repr(value))
    except Exception:  # not everything can be shown: an int of 5,000 digits cannot
        return type(value).__name__


def describe(value: object) -> str:
    """Name a wrong value's type, and the value where that is short."""
    name = type(value).__name__
    if value is None:
        return "None"
    if isinstance(value, bool | int | float):
        return f"{name} {shown(value)}"
    return name


def shorten(text: str) -> str:
    """Put a text on one line that is not endless."""
    line = " ".join(text[: 2 * MOST_SHOWN].split())
    return line if len(line) <= MOST_SHOWN else f"{line[:MOST_SHOWN]}..."
