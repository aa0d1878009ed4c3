"""From token vectors to one: what comes, and its bits."""

import hashlib

import numpy as np
import pytest

from minilm_onnx.arrays import FloatArray
from minilm_onnx.vectors.pooling import FEW, POOLINGS, add_up, l2_normalize, mean_pool, pool


def test_mean_pool_averages_over_tokens() -> None:
    hidden = np.array([[[1, 2], [3, 6]], [[0, 0], [0, 1]]], dtype=np.float32)
    assert mean_pool(hidden).tolist() == [[2.0, 4.0], [0.0, 0.5]]
    assert mean_pool(hidden).dtype == np.float32


def test_l2_normalize_gives_unit_rows_in_float32() -> None:
    unit = l2_normalize(np.array([[3, 4], [0, -2]], dtype=np.float32))
    np.testing.assert_allclose(unit, [[0.6, 0.8], [0.0, -1.0]], rtol=1e-7)
    assert unit.dtype == np.float32


def test_l2_normalize_keeps_a_zero_row_zero() -> None:
    assert l2_normalize(np.zeros((1, 3), dtype=np.float32)).tolist() == [[0.0, 0.0, 0.0]]


def one_by_one(rows: list[np.float32]) -> np.float32:
    total = rows[0]
    for row in rows[1:]:
        total = np.float32(total + row)
    return total


def by_halves(rows: list[FloatArray]) -> FloatArray:
    """The order that `add_up` promises, in plain Python."""
    while len(rows) > 1:
        half = len(rows) // 2
        added = [rows[place] + rows[place + half] for place in range(half)]
        if len(rows) % 2:
            added[0] = added[0] + rows[-1]
        rows = added
    return rows[0]


@pytest.mark.parametrize("count", [1, 2, 3, 7, 8, 31, 32, 33, 100, 255, 256, 384])
def test_tokens_are_added_in_the_order_that_is_promised(count: int) -> None:
    hidden = np.random.default_rng(count).standard_normal((3, count, 5)).astype(np.float32)
    found = add_up(hidden)
    assert found.dtype == np.float32
    for text, total in zip(hidden, found, strict=True):
        assert total.tobytes() == by_halves(list(text)).tobytes()
    # Within the rounding of so many sums.
    exact = hidden.astype(np.float64).sum(axis=1)
    assert np.abs(found - exact).max() <= 1e-6 * np.abs(hidden).sum(axis=1).max()


@pytest.mark.parametrize("count", [1, 5, 32, 33, 48, 384, 769, 1024])
def test_components_are_added_in_the_order_that_is_promised(count: int) -> None:
    rows = np.random.default_rng(count).standard_normal((4, count)).astype(np.float32)
    found = add_up(rows)
    for row, total in zip(rows, found, strict=True):
        left = list(row)
        while len(left) > FEW:
            half = len(left) // 2
            added = [left[place] + left[place + half] for place in range(half)]
            if len(left) % 2:
                added[0] = added[0] + left[-1]
            left = added
        assert total.tobytes() == one_by_one(left).tobytes()


def test_what_is_added_in_other_company_or_layout_has_the_same_bits() -> None:
    hidden = np.random.default_rng(0).standard_normal((9, 37, 64)).astype(np.float32)
    found = add_up(hidden)
    turned = np.asfortranarray(hidden)
    assert add_up(turned).tobytes() == found.tobytes()
    assert add_up(hidden[4:5]).tobytes() == found[4:5].tobytes()
    rows = found.copy()
    assert add_up(rows[:, ::2]).tobytes() == add_up(rows[:, ::2].copy()).tobytes()


def test_pooled_and_normalised_vectors_have_the_bits_that_they_had() -> None:
    """The same on every CPU and in every version of numpy; made of whole numbers, so is the input.

    Who changes an order on purpose makes every manifest's `bits` anew.
    """
    numbers = np.arange(3 * 45 * 384, dtype=np.uint64) * 2654435761 % 2**32
    hidden = (numbers.astype(np.float64) / 2**31 - 1).astype(np.float32).reshape(3, 45, 384)
    found = {}
    for name in POOLINGS:
        pooled = l2_normalize(pool(hidden, name))
        found[name] = hashlib.sha256(pooled.astype("<f4").tobytes()).hexdigest()[:16]
    assert found == {
        "cls": "d8130b56d4ece2b7",
        "lasttoken": "cefe026acc35e6e8",
        "max": "6a1c5884f97e4ee3",
        "mean": "d33948bfe6b2703d",
        "mean_sqrt_len_tokens": "91b239275cda1ee3",
        "weightedmean": "065bc5c0bff94563",
    }


def test_the_larger_of_two_zeros_is_plus_zero() -> None:
    for order in ([0.0, -0.0], [-0.0, 0.0], [-0.0, -0.0]):
        hidden = np.array(order, dtype=np.float32).reshape(1, 2, 1)
        assert np.signbit(pool(hidden, "max")).tolist() == [[False]]
