"""Checks of arguments that several rooms take."""

from collections.abc import Sequence

import numpy as np

from minilm_onnx.errors import InputError, shown


def check_positive(name: str, value: int, most: int | None = None) -> int:
    """Give value as an int; raise InputError unless it is one from 1 to `most`."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise InputError(
            f"{name}: expected a positive int or None, got {shown(value)}; leave it out"
        )
    if most is not None and value > most:
        raise InputError(f"{name}: expected at most {most}, got {shown(value)}; leave it out")
    return int(value)


def check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    """Raise InputError unless value is one of some words."""
    if not isinstance(value, str) or value not in choices:
        raise InputError(f"{name}: expected {', '.join(choices)}, got {shown(value)}; choose one")
