"""What docs/operators.md says of one text's rows, (T, H), in float64 numpy."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from export.folding import code_active, code_rows
from export.forward import Array, Norm, gelu

# An operator's inputs behind the first, by name; weights are (inputs, outputs), times their scale.
Given = Mapping[str, npt.NDArray[Any]]


def self_attention(given: Given, hidden: Array, heads: int) -> Array:
    """Steps 1 to 8 of SelfAttention, without distances."""
    tokens, width = hidden.shape
    projected = mapped(given, "project", hidden).reshape(tokens, heads, 3, width // heads)
    queries, keys, values = projected.transpose(2, 1, 0, 3)
    queries, keys = coded(queries, -1, 127), coded(keys, (-2, -1), 127)
    scores = queries @ keys.swapaxes(1, 2) * (np.log2(np.e) / np.sqrt(width // heads))
    most = 11.999648 - max(0, np.ceil(np.log2(tokens / 256)))
    shares = np.rint(np.exp2(scores - scores.max(axis=-1, keepdims=True) + most))
    mixed = shares @ coded(values, (-2, -1), 2047) / shares.sum(axis=-1, keepdims=True)
    rows = mixed.transpose(1, 0, 2).reshape(tokens, width)
    return norm(given, hidden * given["residual"] + mapped(given, "output", rows))


def feed_forward(given: Given, hidden: Array, steps: int) -> Array:
    """Steps 1 to 5 of FeedForward."""
    active = code_active(gelu(mapped(given, "up", hidden)), steps)
    down = active @ given["down_weight"] + given["down_bias"]
    return norm(given, hidden * given["residual"] + down)


def mapped(given: Given, name: str, rows: Array) -> Array:
    """Rows as codes, through a map."""
    found: Array = code_rows(rows) @ given[f"{name}_weight"] + given[f"{name}_bias"]
    return found


def coded(values: Array, axes: int | tuple[int, int], top: int) -> Array:
    """Values as they are after rounding to codes, on one scale along some axes, and back."""
    worth = np.maximum(np.abs(values).max(axis=axes, keepdims=True), 1e-6) / top
    found: Array = np.rint(values / worth) * worth
    return found


def norm(given: Given, rows: Array) -> Array:
    """The norm at an operator's end, of MiniLM's epsilon."""
    return Norm(given["gain"], given["shift"], 1e-12)(rows)
