"""The encoder in float64 numpy: what calibration runs, a piece at a time.

Double precision makes what calibration chooses depend as little as can be on the order in
which a machine's BLAS adds. Source of the architecture: Devlin et al., BERT (2018); the names are
those of the checkpoint.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from minilm_onnx.making.errorfunction import erf

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Dense:
    """A linear map: rows times `weight` (in, out), plus `bias` (out,)."""

    weight: Array
    bias: Array

    def __call__(self, rows: Array) -> Array:
        """Apply the map to (N, in) rows."""
        out: Array = rows @ self.weight
        out += self.bias
        return out


@dataclass(frozen=True)
class Norm:
    """Layer normalisation over the last axis."""

    gain: Array
    shift: Array
    epsilon: float

    def __call__(self, rows: Array) -> Array:
        """Normalise (N, H) rows."""
        centred = rows - rows.mean(axis=-1, keepdims=True)
        variance = (centred * centred).mean(axis=-1, keepdims=True)
        out: Array = centred / np.sqrt(variance + self.epsilon) * self.gain + self.shift
        return out


@dataclass(frozen=True)
class Layer:
    """One transformer layer."""

    query: Dense
    key: Dense
    value: Dense
    attention_output: Dense
    attention_norm: Norm
    intermediate: Dense
    output: Dense
    output_norm: Norm


@dataclass(frozen=True)
class Padding:
    """A token that takes no position, wherever a text spells it out.

    Attributes:
        token: its id.
        row: what is added to its word embedding instead, (H,).
    """

    token: int
    row: Array


@dataclass(frozen=True)
class Weights:
    """A BERT encoder's weights.

    Attributes:
        words: word embeddings, (V, H).
        positions: position embeddings with the token type's row already added, (P, H).
        embedding_norm: normalisation of their sum.
        layers: the transformer layers, first to last.
        heads: attention heads.
        bias: added to the scores of two tokens by their places, (heads, P, P); None for none.
        padding: None where every token takes a position.
    """

    words: Array
    positions: Array
    embedding_norm: Norm
    layers: list[Layer]
    heads: int
    bias: Array | None = None
    padding: Padding | None = None


def weights_from_tensors(
    tensors: dict[str, npt.NDArray[Any]], *, heads: int, epsilon: float
) -> Weights:
    """Arrange a BertModel checkpoint's tensors; linear weights turn from (out, in) to (in, out)."""
    wide = {name: tensor.astype(np.float64) for name, tensor in tensors.items()}

    def dense(name: str) -> Dense:
        return Dense(np.ascontiguousarray(wide[f"{name}.weight"].T), wide[f"{name}.bias"])

    def norm(name: str) -> Norm:
        return Norm(wide[f"{name}.weight"], wide[f"{name}.bias"], epsilon)

    count = len({name.split(".")[2] for name in wide if name.startswith("encoder.layer.")})
    layers = []
    for index in range(count):
        prefix = f"encoder.layer.{index}"
        layers.append(
            Layer(
                query=dense(f"{prefix}.attention.self.query"),
                key=dense(f"{prefix}.attention.self.key"),
                value=dense(f"{prefix}.attention.self.value"),
                attention_output=dense(f"{prefix}.attention.output.dense"),
                attention_norm=norm(f"{prefix}.attention.output.LayerNorm"),
                intermediate=dense(f"{prefix}.intermediate.dense"),
                output=dense(f"{prefix}.output.dense"),
                output_norm=norm(f"{prefix}.output.LayerNorm"),
            )
        )
    return Weights(
        words=wide["embeddings.word_embeddings.weight"],
        positions=wide["embeddings.position_embeddings.weight"]
        + wide["embeddings.token_type_embeddings.weight"][0],
        embedding_norm=norm("embeddings.LayerNorm"),
        layers=layers,
        heads=heads,
    )


def gelu(rows: Array) -> Array:
    """Apply the exact Gaussian error linear unit (Hendrycks and Gimpel, 2016), in place."""
    for part in np.array_split(rows, len(rows) // 64 + 1):  # whose copies stay in the cache
        part *= 0.5 * (1.0 + erf(part / np.sqrt(2.0)))
    return rows


def embed(weights: Weights, texts: Sequence[npt.NDArray[np.int64]]) -> Array:
    """Give the first layer's input for the concatenated tokens of some texts, (N, H)."""
    words = weights.words[np.concatenate(texts)]
    places = np.concatenate([_places(weights, ids) for ids in texts])
    return weights.embedding_norm(words + places)


def _places(weights: Weights, ids: npt.NDArray[np.int64]) -> Array:
    if weights.padding is None:
        return weights.positions[: len(ids)]
    counted = ids != weights.padding.token
    rows: Array = np.vstack([weights.padding.row, weights.positions])[counted.cumsum() * counted]
    return rows


def attend(
    query: Array,
    key: Array,
    value: Array,
    lengths: Sequence[int],
    heads: int,
    bias: Array | None = None,
) -> Array:
    """Mix value rows within each text, (N, H).

    Args:
        query: (N, H), the texts' tokens one after another.
        key: (N, H).
        value: (N, H).
        lengths: tokens of each text; they sum to N.
        heads: attention heads; H is a multiple.
        bias: see `Weights`.
    """
    out = np.empty_like(value)
    width = query.shape[1] // heads
    start = 0
    for length in lengths:
        rows = slice(start, start + length)
        q, k, v = (
            part[rows].reshape(length, heads, width).transpose(1, 0, 2)
            for part in (query, key, value)
        )
        scores = q @ k.transpose(0, 2, 1) / np.sqrt(width)
        if bias is not None:
            scores = scores + bias[:, :length, :length]
        scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
        scores /= scores.sum(axis=-1, keepdims=True)
        out[rows] = (scores @ v).transpose(1, 0, 2).reshape(length, -1)
        start += length
    return out


def hidden_states(weights: Weights, ids: npt.NDArray[np.int64]) -> Array:
    """Give the last hidden state of one text, (T, H), of its token ids, (T,)."""
    rows = embed(weights, [ids])
    for layer in weights.layers:
        parts = (layer.query(rows), layer.key(rows), layer.value(rows))
        mixed = attend(*parts, [len(ids)], weights.heads, weights.bias)
        rows = layer.attention_norm(layer.attention_output(mixed) + rows)
        rows = layer.output_norm(layer.output(gelu(layer.intermediate(rows))) + rows)
    return rows
