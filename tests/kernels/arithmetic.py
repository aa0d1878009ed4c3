"""What docs/operators.md says of one text's rows, (T, H), in float64 numpy."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from minilm_onnx.making.folding import code_active, code_rows
from minilm_onnx.making.forward import Array, Norm, attend, gelu
from tests.support.native import unpack

# An operator's inputs behind the first, by name; weights are (inputs, outputs), times their scale.
Given = Mapping[str, npt.NDArray[Any]]


def unpacked(given: Given) -> dict[str, npt.NDArray[Any]]:
    """An operator's inputs with weights as they are multiplied, those of wide channels included."""
    found = dict(given)
    for name in [name for name in given if name.endswith("_weight")]:
        scale = given[name.replace("weight", "scale")]
        found[name] = (unpack(given[name]) * scale).astype(np.float32)
        if name in ("project_weight", "up_weight"):
            found[name][given["channels"]] = given["wide"]
    return found


def self_attention(given: Given, hidden: Array, heads: int, fine: int) -> Array:
    """Steps 1 to 8 of SelfAttention, without distances."""
    tokens, width = hidden.shape
    few = is_fine(tokens, fine)
    codes = code_rows(hidden, few, given["channels"].tolist())
    projected = mapped(given, "project", codes).reshape(tokens, heads, 3, width // heads)
    queries, keys, values = projected.transpose(2, 1, 0, 3)
    queries, keys = coded(queries, -1, 127), coded(keys, (-2, -1), 127)
    scores = queries @ keys.swapaxes(1, 2) * (np.log2(np.e) / np.sqrt(width // heads))
    most = 11.999648 - max(0, np.ceil(np.log2(tokens / 256)))
    shares = np.rint(np.exp2(scores - scores.max(axis=-1, keepdims=True) + most))
    mixed = shares @ coded(values, (-2, -1), 2047) / shares.sum(axis=-1, keepdims=True)
    rows = code_rows(mixed.transpose(1, 0, 2).reshape(tokens, width), few)
    return norm(given, hidden * given["residual"] + mapped(given, "output", rows))


def feed_forward(given: Given, hidden: Array, steps: int, fine: int) -> Array:
    """Steps 1 to 5 of FeedForward."""
    few = is_fine(len(hidden), fine)
    raised = mapped(given, "up", code_rows(hidden, few, given["channels"].tolist()))
    down = mapped(given, "down", code_active(gelu(raised), steps, few))
    return norm(given, hidden * given["residual"] + down)


def exact_attention(given: Given, hidden: Array, heads: int) -> Array:
    """SelfAttention if nothing were rounded to codes."""
    tokens, width = hidden.shape
    projected = mapped(given, "project", hidden).reshape(tokens, heads, 3, width // heads)
    query, key, value = (projected[:, :, part].reshape(tokens, width) for part in range(3))
    mixed = attend(query, key, value, [tokens], heads)
    return norm(given, hidden * given["residual"] + mapped(given, "output", mixed))


def exact_feed_forward(given: Given, hidden: Array) -> Array:
    """FeedForward if nothing were rounded to codes."""
    down = mapped(given, "down", gelu(mapped(given, "up", hidden)))
    return norm(given, hidden * given["residual"] + down)


def is_fine(tokens: int, fine: int) -> npt.NDArray[np.bool_]:
    """Which rows of a text have codes of two bytes: all of them, or none."""
    return np.full((tokens, 1), tokens <= fine)


def mapped(given: Given, name: str, rows: Array) -> Array:
    """Rows through a map."""
    found: Array = rows @ given[f"{name}_weight"] + given[f"{name}_bias"]
    return found


def coded(values: Array, axes: int | tuple[int, int], top: int) -> Array:
    """Values as they are after rounding to codes, on one scale along some axes, and back."""
    worth = np.maximum(np.abs(values).max(axis=axes, keepdims=True), 1e-6) / top
    found: Array = np.rint(values / worth) * worth
    return found


def norm(given: Given, rows: Array) -> Array:
    """The norm at an operator's end, of MiniLM's epsilon."""
    return Norm(given["gain"], given["shift"], 1e-12)(rows)


def apart(found: npt.NDArray[Any], expected: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """How far each row is from another, as a share of the other's length."""
    share = np.linalg.norm(found - expected, axis=-1) / np.linalg.norm(expected, axis=-1)
    return np.asarray(share.ravel(), dtype=np.float64)
