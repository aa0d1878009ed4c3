"""Into 8 bits: the range of an activation, and the fold that evens out its channels.

Source of the smoothing: Xiao et al., SmoothQuant (2022).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from export.forward import Array, Dense

# Candidates tried for each input; what gives the least squared output error stays.
SMOOTHING = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
CLIPPING = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)
# Rows that the search looks at, evenly spread over the texts.
SEARCH_ROWS = 4000
# What round_dense leaves of the error of rounding weights to the nearest code, as measured.
ROUNDING_SHARE = 0.5


@dataclass(frozen=True)
class Range:
    """A uint8 activation: value = (code - zero) * scale."""

    scale: float
    zero: int

    def __call__(self, rows: Array) -> Array:
        """Give rows as they are after quantising and back."""
        out: Array = rows / self.scale
        np.rint(out, out=out)
        out += self.zero
        np.clip(out, 0, 255, out=out)
        out -= self.zero
        out *= self.scale
        return out


@dataclass(frozen=True)
class Fold:
    """How a layer input is put into the uint8 range: (rows - middle) / scale, quantised.

    The norm or the linear map that produces the rows does this at no cost.

    Attributes:
        middle: (H,).
        scale: (H,).
        range: of the result.
    """

    middle: Array
    scale: Array
    range: Range

    def __call__(self, rows: Array) -> Array:
        """Give the folded rows, not yet quantised."""
        folded: Array = rows - self.middle
        folded /= self.scale
        return folded

    def dense(self, dense: Dense) -> Dense:
        """Give the map that does to folded rows what `dense` does to the rows."""
        return Dense(dense.weight * self.scale[:, None], dense.bias + self.middle @ dense.weight)


def choose_fold(
    rows: Array, weight: Array, shares: Array, ranges: Sequence[float] = CLIPPING
) -> Fold:
    """Choose the fold whose quantised product with int8 weights is nearest to the exact one.

    Small scales spare the activations, large ones the weights; both errors are counted.

    Args:
        rows: the input as the quantised model sees it, (N, H).
        weight: what it is multiplied with, (H, out).
        shares: what each row counts, (N, 1).
        ranges: tried shares of the largest value seen; what lies beyond is clipped.
    """
    low, high = rows.min(axis=0), rows.max(axis=0)
    middle = (low + high) / 2.0
    reach = np.maximum((high - low) / 2.0, 1e-6)
    weight_reach = np.maximum(np.abs(weight).max(axis=1), 1e-6)
    sample, counts = _sample(rows), _sample(shares)
    best: tuple[float, Fold] | None = None
    for share in SMOOTHING:
        scale = reach**share / weight_reach ** (1.0 - share)
        folded, scaled = (sample - middle) / scale, weight * scale[:, None]
        centred = folded - folded.mean(axis=0)
        lost = scaled - _nearest(scaled)
        weight_error = _error(centred, counts, lost @ lost.T) * ROUNDING_SHARE
        gram = scaled @ scaled.T
        for clip in ranges:
            step = float(np.float32(2.0 * clip * (reach / scale).max() / 255.0))
            limits = Range(step, 128)
            error = weight_error + _error(limits(folded) - folded, counts, gram)
            if best is None or error < best[0]:
                best = error, Fold(middle, scale, limits)
    assert best is not None
    return best[1]


def _nearest(weight: Array) -> Array:
    """Give weights as rounding each to the nearest int8 code of its column leaves them."""
    scales = np.maximum(np.abs(weight).max(axis=0), 1e-9) / 127.0
    out: Array = np.rint(weight / scales) * scales
    return out


def choose_range(rows: Array, weight: Array, shares: Array) -> Range:
    """Choose the range whose quantised product with `weight` is nearest to the exact one.

    Both ends are held to the same magnitude, so a short tail (GELU's -0.17) stays whole.
    """
    low, high = min(float(rows.min()), 0.0), max(float(rows.max()), 0.0)
    sample, counts, gram = _sample(rows), _sample(shares), weight @ weight.T

    def limits(clip: float) -> Range:
        limit = clip * max(-low, high)
        bottom, top = max(low, -limit), min(high, limit)
        scale = float(np.float32((top - bottom) / 255.0))
        return Range(scale, int(np.rint(-bottom / scale)))

    return min(
        map(limits, CLIPPING),
        key=lambda candidate: _error(candidate(sample) - sample, counts, gram),
    )


def _sample(rows: Array) -> Array:
    """Take about SEARCH_ROWS rows, evenly spread."""
    return rows[:: max(1, len(rows) // SEARCH_ROWS)]


def _error(difference: Array, counts: Array, gram: Array) -> float:
    """Give the squared norm of difference @ weight, rows weighted, from weight @ weight.T."""
    return float(np.sum((difference.T @ (difference * counts)) * gram))
