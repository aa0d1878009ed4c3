"""Weights to int8, rounded together so that what a map gives stays nearest to a target.

Source: rounding row by row with the remaining weights making up for it, Frantar et al., GPTQ
(2022), here towards the output of the unquantised model instead of that of the same input.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from export.forward import Array

Int8Array = npt.NDArray[np.int8]

# Share of the mean diagonal added to a Hessian: keeps rounding from fitting noise.
DAMPING = 0.01


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
        out: Array = rows @ (self.codes * self.scales)
        out += self.bias
        return out


def round_dense(codes: Array, weight: Array, target: Array, shares: Array) -> QuantizedDense:
    """Round weights to int8, and find the bias, so that the result is nearest to target.

    Args:
        codes: the input as the quantised model sees it, (N, in).
        weight: the exact weights, (in, out).
        target: what the unquantised model gives, (N, out).
        shares: what each row counts, (N, 1); their mean is 1.
    """
    mean, target_mean = (shares * codes).mean(axis=0), (shares * target).mean(axis=0)
    centred = codes - mean
    weighted = centred * shares
    hessian = weighted.T @ centred
    hessian[np.diag_indices_from(hessian)] += DAMPING * np.trace(hessian) / len(hessian)
    missing = target - target_mean
    missing -= centred @ weight
    weight = weight + np.linalg.solve(hessian, weighted.T @ missing)
    del centred, weighted, missing
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
    bias = target_mean - mean @ (int8 * scales)
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
