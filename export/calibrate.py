"""Static int8: activation ranges, smoothing, outlier neurons and the rounding of weights.

Every layer is quantised with the errors of those before it already in its input, and its
weights are rounded so that what comes out is nearest to what the fp32 layer would have given.

Sources: smoothing, Xiao et al., SmoothQuant (2022); rounding column by column with the
remaining weights making up for it, Frantar et al., GPTQ (2022), here towards the output of the
unquantised model instead of that of the same input.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from export.forward import Array, Dense, Layer, Weights, attend, embed, gelu

Int8Array = npt.NDArray[np.int8]

# Candidates tried for each matmul; what gives the least squared output error stays.
SMOOTHING = (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0)
CLIPPING = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3)
# Rows that the search for smoothing and clipping looks at, evenly spread over the texts.
SEARCH_ROWS = 6000
# Neurons of the feed-forward layer kept in float. Cost is a small Gemm whatever their number.
OUTLIER_NEURONS = 16
# Share of the mean diagonal added to a Hessian: keeps rounding from fitting noise.
DAMPING = 0.01


@dataclass(frozen=True)
class Range:
    """A uint8 activation: value = (code - zero) * scale."""

    scale: float
    zero: int

    def __call__(self, rows: Array) -> Array:
        """Give rows as they are after quantising and back."""
        codes = np.clip(np.rint(rows / self.scale) + self.zero, 0, 255)
        out: Array = (codes - self.zero) * self.scale
        return out


@dataclass(frozen=True)
class QuantizedDense:
    """A linear map on a quantised input.

    Attributes:
        codes: int8 weights, (in, out).
        scales: one a column, (out,).
        bias: (out,).
    """

    codes: Int8Array
    scales: Array
    bias: Array

    def __call__(self, rows: Array) -> Array:
        """Apply the map to (N, in) dequantised rows."""
        out: Array = rows @ (self.codes * self.scales) + self.bias
        return out


@dataclass(frozen=True)
class QuantizedLayer:
    """One transformer layer, int8.

    Attributes:
        qkv_smoothing: the input is multiplied by this, (H,), before quantising.
        qkv_range: of that product.
        query: reads the quantised product; so do key and value.
        key: as query.
        value: as query; the smoothing of attention_output is folded into it.
        attention_range: of the attention's output.
        attention_output: reads it.
        ffn_smoothing: as qkv_smoothing.
        ffn_range: of that product.
        intermediate: reads it.
        outliers: neurons kept in float, (K,), ascending.
        outlier_weights: their rows of the output weights, (K, H).
        output_range: of the other neurons.
        output: reads them; rows of outliers are zero.
    """

    qkv_smoothing: Array
    qkv_range: Range
    query: QuantizedDense
    key: QuantizedDense
    value: QuantizedDense
    attention_range: Range
    attention_output: QuantizedDense
    ffn_smoothing: Array
    ffn_range: Range
    intermediate: QuantizedDense
    outliers: npt.NDArray[np.int64]
    outlier_weights: Array
    output_range: Range
    output: QuantizedDense


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
    exact = seen = embed(weights, texts)
    layers = []
    for layer in weights.layers:
        quantized, exact, seen = _calibrate_layer(layer, exact, seen, lengths, weights.heads)
        layers.append(quantized)
        progress(len(layers))
    return layers


def _calibrate_layer(
    layer: Layer, exact: Array, seen: Array, lengths: Sequence[int], heads: int
) -> tuple[QuantizedLayer, Array, Array]:
    """Quantise one layer.

    Args:
        layer: its fp32 weights.
        exact: its input in the fp32 model, (N, H).
        seen: its input in the quantised model so far, (N, H).
        lengths: tokens of each text.
        heads: attention heads.

    Returns:
        The layer, and its output in both models.
    """
    # Queries, keys and values share one quantised input.
    joint = Dense(
        np.hstack([layer.query.weight, layer.key.weight, layer.value.weight]),
        np.concatenate([layer.query.bias, layer.key.bias, layer.value.bias]),
    )
    exact_qkv = joint(exact)
    qkv_smooth, qkv_range = _smooth_and_clip(seen, joint.weight)
    codes = qkv_range(seen / qkv_smooth)
    exact_parts = np.split(exact_qkv, 3, axis=1)
    exact_context = attend(exact_parts[0], exact_parts[1], exact_parts[2], lengths, heads)

    query, key = (
        _round(codes, Dense(dense.weight * qkv_smooth[:, None], dense.bias), target)
        for dense, target in zip((layer.query, layer.key), exact_parts[:2], strict=True)
    )
    # The output's smoothing must be known before the value weights are rounded.
    value = Dense(layer.value.weight * qkv_smooth[:, None], layer.value.bias)
    context = attend(query(codes), key(codes), value(codes), lengths, heads)
    out_smooth, _ = _smooth_and_clip(context, layer.attention_output.weight)
    value_q = _round(
        codes,
        Dense(value.weight / out_smooth, value.bias / out_smooth),
        exact_parts[2] / out_smooth,
    )
    context = attend(query(codes), key(codes), value_q(codes), lengths, heads)
    out_weight = layer.attention_output.weight * out_smooth[:, None]
    attention_range = _clip(context, out_weight)
    context_codes = attention_range(context)
    # Residual and matmul are rounded towards their exact sum, so that what the residual
    # lost on its way here is made good as far as a matmul can.
    exact_sum = layer.attention_output(exact_context) + exact
    attention_output = _round(
        context_codes, Dense(out_weight, layer.attention_output.bias), exact_sum - seen
    )
    exact = layer.attention_norm(exact_sum)
    seen = layer.attention_norm(attention_output(context_codes) + seen)

    ffn_smooth, ffn_range = _smooth_and_clip(seen, layer.intermediate.weight)
    codes = ffn_range(seen / ffn_smooth)
    exact_wide = layer.intermediate(exact)
    intermediate = _round(
        codes,
        Dense(layer.intermediate.weight * ffn_smooth[:, None], layer.intermediate.bias),
        exact_wide,
    )
    exact_active, active = gelu(exact_wide), gelu(intermediate(codes))
    outliers = np.sort(np.argsort(-np.abs(active).max(axis=0), kind="stable")[:OUTLIER_NEURONS])
    outlier_weights = layer.output.weight[outliers]
    exact_sum = layer.output(exact_active) + exact
    rest = layer.output.weight.copy()
    rest[outliers] = 0.0
    others = active.copy()
    others[:, outliers] = 0.0
    output_range = _clip(others, rest)
    codes = output_range(others)
    floats = active[:, outliers] @ outlier_weights + seen
    output = _round(codes, Dense(rest, layer.output.bias), exact_sum - floats)
    exact = layer.output_norm(exact_sum)
    seen = layer.output_norm(output(codes) + floats)
    return (
        QuantizedLayer(
            qkv_smoothing=1.0 / qkv_smooth,
            qkv_range=qkv_range,
            query=query,
            key=key,
            value=value_q,
            attention_range=attention_range,
            attention_output=attention_output,
            ffn_smoothing=1.0 / ffn_smooth,
            ffn_range=ffn_range,
            intermediate=intermediate,
            outliers=outliers,
            outlier_weights=outlier_weights,
            output_range=output_range,
            output=output,
        ),
        exact,
        seen,
    )


def _smooth_and_clip(rows: Array, weight: Array) -> tuple[Array, Range]:
    """Choose the smoothing and the range whose quantised product is nearest to the exact one.

    Returns:
        What to divide each input channel by, (in,), and the range of the quotient.
    """
    peaks = np.maximum(np.abs(rows).max(axis=0), 1e-6)
    sample = _sample(rows)
    weight_peaks = np.maximum(np.abs(weight).max(axis=1), 1e-6)
    best: tuple[float, Array, Range] | None = None
    for share in SMOOTHING:
        smooth = peaks**share / weight_peaks ** (1.0 - share)
        scaled, scaled_weight = sample / smooth, weight * smooth[:, None]
        gram = scaled_weight @ scaled_weight.T
        for limits in _candidates(rows / smooth):
            error = _error(limits(scaled) - scaled, gram)
            if best is None or error < best[0]:
                best = error, smooth, limits
    assert best is not None
    return best[1], best[2]


def _clip(rows: Array, weight: Array) -> Range:
    """Choose the range whose quantised product with `weight` is nearest to the exact one."""
    gram = weight @ weight.T
    sample = _sample(rows)
    return min(_candidates(rows), key=lambda limits: _error(limits(sample) - sample, gram))


def _sample(rows: Array) -> Array:
    """Take about SEARCH_ROWS rows, evenly spread."""
    return rows[:: max(1, len(rows) // SEARCH_ROWS)]


def _error(difference: Array, gram: Array) -> float:
    """Give the squared norm of difference @ weight, from weight @ weight.T."""
    return float(np.sum((difference.T @ difference) * gram))


def _candidates(rows: Array) -> list[Range]:
    """Give uint8 ranges from the full span of the rows down to the tightest clip.

    Both ends are held to the same magnitude, so a short tail (GELU's -0.17) stays whole.
    """
    low, high = min(float(rows.min()), 0.0), max(float(rows.max()), 0.0)
    ranges = []
    for share in CLIPPING:
        limit = share * max(-low, high)
        bottom, top = max(low, -limit), min(high, limit)
        scale = float(np.float32((top - bottom) / 255.0))
        ranges.append(Range(scale, int(np.rint(-bottom / scale))))
    return ranges


def _round(codes: Array, dense: Dense, target: Array) -> QuantizedDense:
    """Round weights to int8 so that codes @ weights + bias is nearest to target.

    Args:
        codes: the input as the quantised model sees it, (N, in).
        dense: the exact weights (in, out) and bias.
        target: what the unquantised model gives, (N, out).
    """
    mean = codes.mean(axis=0)
    centred = codes - mean
    hessian = centred.T @ centred
    hessian[np.diag_indices_from(hessian)] += DAMPING * np.trace(hessian) / len(hessian)
    missing = target - target.mean(axis=0) - centred @ dense.weight
    weight = dense.weight + np.linalg.solve(hessian, centred.T @ missing)
    scales = _column_scales(weight, np.diag(hessian))

    # Inputs with the largest energy first: what they cannot represent, the others make up for.
    order = np.argsort(-np.diag(hessian), kind="stable")
    inverse = np.linalg.inv(hessian[np.ix_(order, order)])
    upper = np.linalg.cholesky(inverse).T
    left = weight[order].copy()
    rounded = np.empty_like(left)
    for row in range(len(left)):
        rounded[row] = np.clip(np.rint(left[row] / scales), -127, 127)
        lost = (left[row] - rounded[row] * scales) / upper[row, row]
        left[row + 1 :] -= np.outer(upper[row, row + 1 :], lost)
    result = np.empty_like(rounded)
    result[order] = rounded
    int8 = result.astype(np.int8)
    bias = target.mean(axis=0) - mean @ (int8 * scales)
    return QuantizedDense(int8, scales, bias)


def _column_scales(weight: Array, importance: Array) -> Array:
    """Choose for each column the int8 step with the least rounding error, weighted by input."""
    peaks = np.maximum(np.abs(weight).max(axis=0), 1e-9)
    best = np.full(len(peaks), np.inf)
    scales = peaks / 127.0
    for share in np.linspace(1.0, 0.6, 21):
        step = peaks * share / 127.0
        lost = np.clip(np.rint(weight / step), -127, 127) * step - weight
        error = (lost * lost * importance[:, None]).sum(axis=0)
        better = error < best
        best[better], scales[better] = error[better], step[better]
    return np.asarray(np.float32(scales), dtype=np.float64)
