"""int8: smoothing and rounding, layer by layer.

Every layer is quantised with the errors of those before it already in its input, and its
weights are rounded so that what comes out is nearest to what the fp32 layer would have given.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from minilm_onnx.making.folding import (
    FINE_TOKENS,
    Fine,
    Fold,
    choose_channels,
    choose_fold,
    choose_steps,
    code_active,
    code_rows,
)
from minilm_onnx.making.forward import Array, Layer, Norm, Weights, attend, embed, gelu
from minilm_onnx.making.rounding import BoolArray, Int8Array, QuantizedDense, round_dense

# Rows whose hidden state is off by more than this share of its size have gone another way than in
# the fp32 model, as some punctuation of all-mpnet-base-v2 does. Of all-MiniLM-L6-v2 none is off by
# more than 0.2.
ASTRAY = 0.3


@dataclass(frozen=True)
class QuantizedLayer:
    """One transformer layer, int8.

    Attributes:
        qkv_fold: of the layer's input.
        query: reads it, quantised; so do key and value.
        key: as query.
        value: as query; gives values already folded for attention_output.
        attention_output: reads the attention's output; its bias holds the middle that the
            residual lacks.
        ffn_fold: of the feed-forward part's input.
        intermediate: reads it.
        steps: of the activations in 1, a power of two.
        output: reads the activations; its bias is as attention_output's.
        fine: tokens of the longest texts whose codes have two bytes.
    """

    qkv_fold: Fold
    query: QuantizedDense
    key: QuantizedDense
    value: QuantizedDense
    attention_output: QuantizedDense
    ffn_fold: Fold
    intermediate: QuantizedDense
    steps: int
    output: QuantizedDense
    fine: int


@dataclass(frozen=True)
class Texts:
    """The calibration texts' shape.

    Attributes:
        lengths: tokens of each.
        shares: what each token row counts, (N, 1).
    """

    lengths: list[int]
    shares: Array

    @property
    def half(self) -> BoolArray:
        """Say which rows are of every second text, (N,)."""
        return np.repeat(np.arange(len(self.lengths)) % 2 == 0, self.lengths)

    def rows_up_to(self, tokens: int) -> Fine:
        """Say which rows are of texts of at most so many tokens, (N, 1)."""
        lengths = np.array(self.lengths)
        return np.repeat(lengths <= tokens, lengths)[:, None]


def quantize_words(words: Array) -> tuple[Int8Array, Array]:
    """Round word embeddings to int8 with a scale a row.

    Returns:
        Codes (V, H) and scales (V, 1).
    """
    peaks = np.maximum(np.abs(words).max(axis=1, keepdims=True), 1e-9)
    scales = np.asarray(np.float32(peaks / 127.0), dtype=np.float64)
    return np.rint(words / scales).astype(np.int8), scales


def calibrate(
    weights: Weights,
    texts: Sequence[npt.NDArray[np.int64]],
    progress: Callable[[int], object] = lambda _: None,
) -> list[QuantizedLayer]:
    """Quantise every layer on some texts.

    Args:
        weights: the fp32 model.
        texts: token ids of the calibration texts.
        progress: called with the number of layers done.
    """
    lengths = [len(ids) for ids in texts]
    # Each text counts the same: a short one has few tokens to average errors over.
    shares = np.concatenate([np.full(length, 1.0 / length) for length in lengths])
    shape = Texts(lengths, (shares / shares.mean())[:, None])
    codes, scales = quantize_words(weights.words)
    exact = embed(weights, texts)
    seen = embed(replace(weights, words=codes * scales), texts)
    layers = []
    for number, layer in enumerate(weights.layers):
        fine = fine_tokens(number, len(weights.layers))
        quantized, exact, seen = _calibrate_layer(layer, exact, seen, shape, fine, weights)
        layers.append(quantized)
        progress(len(layers))
    return layers


def fine_tokens(number: int, count: int) -> int:
    """Say up to how many tokens texts have codes of two bytes in one of so many layers.

    Those of the last half: the first cost as much and gain less, since layers behind them make
    good a part of what they lose.
    """
    return FINE_TOKENS if 2 * number >= count else 0


def shares_before(norm: Norm, rows: Array, shares: Array) -> Array:
    """Give what each row counts, (N, 1), where a norm follows, which divides its size away.

    Without it rounding serves the few rows that are much larger than the others, which are not
    larger behind the norm.

    Args:
        norm: what follows.
        rows: what it will read, (N, H).
        shares: what each row counts behind it, (N, 1).
    """
    weighted: Array = shares / (rows.var(axis=1, keepdims=True) + norm.epsilon)
    weighted /= weighted.mean()
    return weighted


def without_astray(shares: Array, found: Array, exact: Array) -> Array:
    """Give what each row counts, (N, 1): nothing where it has gone astray.

    Nothing can make good for such a row, and weights that were fitted to it served all others
    worse.

    Args:
        shares: what each row counts otherwise, (N, 1).
        found: hidden states, behind a norm, in the quantised model, (N, H).
        exact: the same in the fp32 model.
    """
    off = np.linalg.norm(found - exact, axis=1, keepdims=True)
    near = off <= ASTRAY * np.linalg.norm(exact, axis=1, keepdims=True)
    if near.all():
        return shares
    kept: Array = shares * near
    kept /= kept.mean()
    return kept


def _calibrate_layer(
    layer: Layer, exact: Array, seen: Array, texts: Texts, fine: int, weights: Weights
) -> tuple[QuantizedLayer, Array, Array]:
    """Quantise one layer.

    Args:
        layer: its fp32 weights.
        exact: its input in the fp32 model, (N, H).
        seen: its input in the quantised model so far, (N, H).
        texts: whose rows these are.
        fine: tokens of the longest texts whose codes have two bytes.
        weights: of the whole model.

    Returns:
        The layer, and its output in both models.
    """
    fine_rows = texts.rows_up_to(fine)
    # Queries, keys and values share one quantised input.
    joint = np.hstack([layer.query.weight, layer.key.weight, layer.value.weight])
    channels = choose_channels(seen)
    shares = without_astray(texts.shares, seen, exact)
    qkv_fold = choose_fold(seen, joint, shares, fine_rows, channels)
    folded = qkv_fold(seen)
    codes = code_rows(folded, fine_rows, channels)
    exact_query, exact_key, exact_value = (
        dense(exact) for dense in (layer.query, layer.key, layer.value)
    )
    exact_context = attend(
        exact_query, exact_key, exact_value, texts.lengths, weights.heads, weights.bias
    )
    query, key = (
        round_dense(codes, qkv_fold.dense(dense).weight, target, shares, texts.half, channels)
        for dense, target in ((layer.query, exact_query), (layer.key, exact_key))
    )
    # Attention averages values, so what is done to every value is done to the average: the
    # fold of the attention's output goes into the value map.
    value = qkv_fold.dense(layer.value)
    context = attend(
        query(codes), key(codes), value(codes), texts.lengths, weights.heads, weights.bias
    )
    out_fold = choose_fold(context, layer.attention_output.weight, shares, fine_rows)
    value_q = round_dense(
        codes,
        value.weight / out_fold.scale,
        out_fold(exact_value),
        shares,
        texts.half,
        channels,
    )
    context = attend(
        query(codes), key(codes), value_q(codes), texts.lengths, weights.heads, weights.bias
    )
    codes = code_rows(context, fine_rows)
    # Residual and matmul are rounded towards their exact sum, so that what the residual
    # lost on its way here is made good as far as a matmul can.
    exact_sum = layer.attention_output(exact_context) + exact
    del exact_query, exact_key, exact_value, exact_context, context
    residual = folded * qkv_fold.scale
    dense = out_fold.dense(layer.attention_output)
    exact = layer.attention_norm(exact_sum)
    shares = shares_before(layer.attention_norm, exact_sum, texts.shares)
    attention_output = round_dense(
        codes,
        dense.weight,
        exact_sum - residual,
        without_astray(shares, layer.attention_norm(dense(codes) + seen), exact),
        texts.half,
    )
    seen = layer.attention_norm(attention_output(codes) + residual)

    channels = choose_channels(seen)
    shares = without_astray(texts.shares, seen, exact)
    ffn_fold = choose_fold(seen, layer.intermediate.weight, shares, fine_rows, channels)
    folded = ffn_fold(seen)
    codes = code_rows(folded, fine_rows, channels)
    # What is four times as wide as the rest is dropped as soon as it can be.
    exact_wide = layer.intermediate(exact)
    intermediate = round_dense(
        codes,
        ffn_fold.dense(layer.intermediate).weight,
        exact_wide,
        shares,
        texts.half,
        channels,
    )
    exact_sum = layer.output(gelu(exact_wide)) + exact
    del exact_wide
    active = gelu(intermediate(codes))
    steps = choose_steps(active)
    codes = code_active(active, steps, fine_rows)
    del active
    residual = folded * ffn_fold.scale
    exact = layer.output_norm(exact_sum)
    shares = shares_before(layer.output_norm, exact_sum, texts.shares)
    output = round_dense(
        codes,
        layer.output.weight,
        exact_sum - residual,
        without_astray(shares, layer.output_norm(layer.output(codes) + seen), exact),
        texts.half,
    )
    seen = layer.output_norm(output(codes) + residual)
    return (
        QuantizedLayer(
            qkv_fold=qkv_fold,
            query=query,
            key=key,
            value=value_q,
            attention_output=attention_output,
            ffn_fold=ffn_fold,
            intermediate=intermediate,
            steps=steps,
            output=output,
            fine=fine,
        ),
        exact,
        seen,
    )
