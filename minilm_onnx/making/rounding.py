"""Weights to int8, rounded together so that what a map gives stays nearest to a target.

Source: rounding row by row with the remaining weights making up for it, Frantar et al., GPTQ
(2022), here towards the output of the unquantised model instead of that of the same input.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from minilm_onnx.making.forward import Array

Int8Array = npt.NDArray[np.int8]
IndexArray = npt.NDArray[np.intp]
BoolArray = npt.NDArray[np.bool_]

# Share of the mean diagonal added to a Hessian: keeps rounding from fitting noise.
DAMPING = 0.01
# The same where weights make up for what earlier layers lost; what serves those texts best that it
# was not fitted to is taken.
RIDGES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
# How often each code is looked at again when all are rounded; a fourth time gains nothing.
PASSES = 3


@dataclass(frozen=True)
class QuantizedDense:
    """A linear map on a quantised input.

    Attributes:
        codes: int8 weights, (in, out); 0 of the wide channels.
        scales: one a column, (out,).
        bias: (out,).
        channels: inputs that are wide.
        wide: their weights, float32 in value, (len(channels), out).
    """

    codes: Int8Array
    scales: Array
    bias: Array
    channels: Sequence[int]
    wide: Array

    @property
    def weight(self) -> Array:
        """What rows are multiplied by, (in, out)."""
        weight: Array = self.codes * self.scales
        weight[list(self.channels)] = self.wide
        return weight

    def __call__(self, rows: Array) -> Array:
        """Apply the map to (N, in) dequantised rows."""
        out: Array = rows @ self.weight
        out += self.bias
        return out


def round_dense(
    codes: Array,
    weight: Array,
    target: Array,
    shares: Array,
    half: BoolArray,
    channels: Sequence[int] = (),
) -> QuantizedDense:
    """Round weights to int8, and find the bias, so that the result is nearest to target.

    Args:
        codes: the input as the quantised model sees it, (N, in).
        weight: the exact weights, (in, out).
        target: what the unquantised model gives, (N, out).
        shares: what each row counts, (N, 1); their mean is 1.
        half: which rows are of one half of the texts, (N,).
        channels: inputs whose weights are not rounded.
    """
    wide = np.array(channels, dtype=np.int64)
    mean, target_mean = (shares * codes).mean(axis=0), (shares * target).mean(axis=0)
    others = np.delete(np.arange(len(weight)), wide)
    parts = []
    for rows in (half, ~half):
        centred = codes[rows] - mean
        weighted = centred * shares[rows]
        missing = target[rows] - target_mean
        missing -= centred @ weight
        parts.append((weighted.T @ centred, weighted.T @ missing))
    del centred, weighted, missing
    weight = weight + _make_up(parts, others)
    hessian = damped(parts[0][0] + parts[1][0], DAMPING, others)
    del parts

    # Wide channels make up for all that the others cannot represent: what is left then is `among`.
    mixed = np.linalg.solve(hessian[np.ix_(wide, wide)], hessian[np.ix_(wide, others)])
    among = hessian[np.ix_(others, others)] - hessian[np.ix_(others, wide)] @ mixed
    exact = weight[others]
    scales = _column_scales(exact, np.diag(among))
    rounded, scales = _descend(exact, _round(exact, scales, among), scales, among)
    int8 = np.zeros(weight.shape, dtype=np.int8)
    int8[others] = rounded
    left = weight[wide] + mixed @ (exact - rounded * scales)
    kept = np.asarray(np.float32(left), dtype=np.float64)
    dense = QuantizedDense(int8, scales, target_mean, channels, kept)
    return replace(dense, bias=target_mean - mean @ dense.weight)


def damped(hessian: Array, share: float, inputs: IndexArray) -> Array:
    """Add a share of the mean diagonal of some inputs to the diagonal."""
    more: Array = np.eye(len(hessian)) * (share * np.diag(hessian)[inputs].mean())
    return hessian + more


def _make_up(parts: Sequence[tuple[Array, Array]], inputs: IndexArray) -> Array:
    """Find the change of weights that makes up for what is missing, but not for noise, (in, out).

    Args:
        parts: of each half of the texts inputs' products with inputs, (in, in), and with what is
            missing, (in, out).
        inputs: whose mean square a ridge is a share of.
    """

    def left(share: float) -> float:
        lost = 0.0
        for (own, wanted), (other, asked) in (parts, parts[::-1]):
            change = np.linalg.solve(damped(own, share, inputs), wanted)
            lost += float((change * (other @ change - 2.0 * asked)).sum())
        return lost

    best = min(RIDGES, key=left)
    (first, wanted), (second, more) = parts
    return np.asarray(np.linalg.solve(damped(first + second, best, inputs), wanted + more))


def _round(weight: Array, scales: Array, hessian: Array) -> Array:
    """Round weights one input after another; the inputs not yet rounded make up for each."""
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
    codes = np.empty_like(rounded)
    codes[order] = rounded
    return codes


def _descend(weight: Array, codes: Array, scales: Array, hessian: Array) -> tuple[Array, Array]:
    """Move one code after another to where the error is least, then scales; and again."""
    for _ in range(PASSES):
        slope = hessian @ (weight - codes * scales)
        for row in range(len(codes)):
            moved = np.rint(slope[row] / (hessian[row, row] * scales))
            moved = np.clip(codes[row] + moved, -127, 127) - codes[row]
            columns = np.flatnonzero(moved)
            codes[row] += moved
            change = moved[columns] * scales[columns]
            slope[:, columns] -= np.outer(hessian[:, row], change)
        seen = hessian @ codes
        size = (seen * codes).sum(axis=0)
        best = (seen * weight).sum(axis=0) / np.where(size > 0, size, 1.0)
        scales = np.asarray(np.float32(np.where(best > 0, best, scales)), dtype=np.float64)
    return codes, scales


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
