"""Into 8 bits: codes with a scale a row, wide channels, and the fold that evens out the others.

docs/operators.md defines the codes; this is what the native operators do, in float64. Source of
the smoothing: Xiao et al., SmoothQuant (2022).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from minilm_onnx.making.forward import Array, Dense

Fine = npt.NDArray[np.bool_]

# Candidates tried for each input; what gives the least squared output error stays.
SMOOTHING = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
# Rows that the search looks at, evenly spread over the texts.
SEARCH_ROWS = 4000
# What round_dense leaves of the error of rounding weights to the nearest code, as measured.
ROUNDING_SHARE = 0.5
# Steps of the feed-forward part's activations in 1: finer ones gain nothing, coarser ones the
# operators do not take. They reach this many times beyond the largest that calibration saw.
MOST_STEPS, FEWEST_STEPS = 512, 32
REACH = 1.5
# Tokens of the longest texts whose codes have two bytes: replies of four, [CLS] and [SEP]. In so
# few rounding errors do not average out.
FINE_TOKENS = 6
# Channels of a layer's input that stay in float32: those that reach furthest.
WIDE_CHANNELS = 4


def choose_channels(rows: Array) -> list[int]:
    """Choose the wide channels of rows, (N, H)."""
    reach = rows.max(axis=0) - rows.min(axis=0)
    furthest = np.argsort(-reach, kind="stable")[:WIDE_CHANNELS]
    return sorted(furthest.tolist())


def code_rows(rows: Array, fine: Fine | None = None, channels: Sequence[int] = ()) -> Array:
    """Give rows as they are after rounding to codes of -127 to 127 and back, (N, H).

    Args:
        rows: (N, H).
        fine: which have codes of two bytes, (N, 1); None for none.
        channels: of these values stay as they are, and are not what the scale must reach.
    """
    wide = list(channels)
    kept = rows[:, wide]
    out: Array = rows.copy()
    out[:, wide] = 0.0
    scale = np.maximum(np.abs(out).max(axis=1, keepdims=True), 1e-6) / 127.0
    if fine is not None:
        scale /= np.where(fine, 128.0, 1.0)
    out /= scale
    np.rint(out, out=out)
    out *= scale
    out[:, wide] = kept
    return out


def choose_steps(active: Array) -> int:
    """Choose the finest steps in which GELU's values fit an int16: a power of two in 1."""
    steps = MOST_STEPS
    while steps > FEWEST_STEPS and active.max() * REACH * steps > 32767:
        steps //= 2
    return steps


def code_active(active: Array, steps: int, fine: Fine | None = None) -> Array:
    """Give GELU's values as they are after rounding to steps, to codes of 0 to 255, and back.

    Args:
        active: (N, F).
        steps: in 1.
        fine: of which rows steps are codes of two bytes, (N, 1); None for none.
    """
    whole = np.clip(np.rint(active * steps), -32768, 32767)
    exact = np.minimum(whole[fine[:, 0]], 32639) / steps if fine is not None else None
    low = np.ceil(0.17 * steps)  # GELU's least is -0.17
    reach = np.maximum(whole.max(axis=1, keepdims=True), 0.0) + low
    factor = np.minimum(np.floor(255 * 32768 / reach), 32767)
    zero = np.floor((low * factor + 16384) / 32768)
    # In place, since these rows are the widest there are.
    whole *= factor
    whole += 16384
    whole /= 32768
    np.floor(whole, out=whole)
    whole += zero
    np.clip(whole, 0, 255, out=whole)
    whole -= zero
    whole *= 32768.0 / (factor * steps)
    if fine is not None:
        whole[fine[:, 0]] = exact
    return whole


@dataclass(frozen=True)
class Fold:
    """How a layer input's channels are evened out before it becomes codes: (rows - middle) / scale.

    The norm or the linear map that produces the rows does this at no cost.

    Attributes:
        middle: (H,).
        scale: (H,).
    """

    middle: Array
    scale: Array

    def __call__(self, rows: Array) -> Array:
        """Give the folded rows, not yet quantised."""
        folded: Array = rows - self.middle
        folded /= self.scale
        return folded

    def dense(self, dense: Dense) -> Dense:
        """Give the map that does to folded rows what `dense` does to the rows."""
        return Dense(dense.weight * self.scale[:, None], dense.bias + self.middle @ dense.weight)


def choose_fold(
    rows: Array, weight: Array, shares: Array, fine: Fine, channels: Sequence[int] = ()
) -> Fold:
    """Choose the fold whose quantised product with int8 weights is nearest to the exact one.

    Small scales spare the activations, large ones the weights; both errors are counted.

    Args:
        rows: the input as the quantised model sees it, (N, H).
        weight: what it is multiplied with, (H, out).
        shares: what each row counts, (N, 1).
        fine: which rows have codes of two bytes, (N, 1).
        channels: that are wide, and need no scale.
    """
    if channels:
        others = np.delete(np.arange(rows.shape[1]), channels)
        fold = choose_fold(rows[:, others], weight[others], shares, fine)
        middle, scale = np.zeros(rows.shape[1]), np.ones(rows.shape[1])
        middle[others], scale[others] = fold.middle, fold.scale
        return Fold(middle, scale)
    low, high = rows.min(axis=0), rows.max(axis=0)
    middle = (low + high) / 2.0
    reach = np.maximum((high - low) / 2.0, 1e-6)
    weight_reach = np.maximum(np.abs(weight).max(axis=1), 1e-6)
    some = slice(None, None, max(1, len(rows) // SEARCH_ROWS))
    sample, counts, fine = rows[some], shares[some], fine[some]

    def error(fold: Fold) -> float:
        folded, scaled = fold(sample), weight * fold.scale[:, None]
        centred = folded - folded.mean(axis=0)
        lost = scaled - _nearest(scaled)
        weight_error = _error(centred, counts, lost @ lost.T) * ROUNDING_SHARE
        return weight_error + _error(code_rows(folded, fine) - folded, counts, scaled @ scaled.T)

    folds = [Fold(middle, reach**share / weight_reach ** (1.0 - share)) for share in SMOOTHING]
    return min(folds, key=error)


def _nearest(weight: Array) -> Array:
    """Give weights as rounding each to the nearest int8 code of its column leaves them."""
    scales = np.maximum(np.abs(weight).max(axis=0), 1e-9) / 127.0
    out: Array = np.rint(weight / scales) * scales
    return out


def _error(difference: Array, counts: Array, gram: Array) -> float:
    """Give the squared norm of difference @ weight, rows weighted, from weight @ weight.T."""
    return float(np.sum((difference.T @ (difference * counts)) * gram))
