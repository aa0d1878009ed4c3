"""Weights and activations to 8 bits, as calibration does it."""

import json
from pathlib import Path

import numpy as np
import pytest

for name in ("onnx", "scipy"):
    pytest.importorskip(name, reason=f"{name} of export/requirements.txt is not installed")

from export import draw
from minilm_onnx.making import rounding
from minilm_onnx.making.calibrate import shares_before, without_astray
from minilm_onnx.making.corpus import TEXTS, read_hard, read_split
from minilm_onnx.making.folding import (
    WIDE_CHANNELS,
    choose_channels,
    choose_fold,
    choose_steps,
    code_active,
    code_rows,
)
from minilm_onnx.making.forward import Array, Dense, Norm
from minilm_onnx.making.rounding import QuantizedDense, round_dense
from tests.support.texts import bare


def mixed_rows(seed: int = 0) -> Array:
    """Rows whose channels go together, (400, 32)."""
    random = np.random.default_rng(seed)
    rows: Array = random.normal(size=(400, 32)) @ random.normal(size=(32, 32))
    return rows


def some_map() -> Dense:
    random = np.random.default_rng(1)
    return Dense(random.normal(size=(32, 8)), random.normal(size=8))


def lost(dense: QuantizedDense, rows: Array, target: Array) -> float:
    return float(np.square(dense(rows) - target).sum())


ONE_EACH = np.ones((400, 1))
HALF = np.arange(400) % 2 == 0


def test_rounding_beats_the_nearest_code(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, dense = mixed_rows(), some_map()
    target = dense(rows)
    scales = np.abs(dense.weight).max(axis=0) / 127
    codes = np.rint(dense.weight / scales).astype(np.int8)
    nearest = QuantizedDense(codes, scales, dense.bias, (), np.zeros((0, 8)))
    descended = lost(round_dense(rows, dense.weight, target, ONE_EACH, HALF), rows, target)
    monkeypatch.setattr(rounding, "PASSES", 0)
    in_one_go = lost(round_dense(rows, dense.weight, target, ONE_EACH, HALF), rows, target)
    assert descended < 0.97 * in_one_go
    assert in_one_go < 0.5 * lost(nearest, rows, target)


def test_weights_make_up_for_what_is_missing_but_not_for_noise() -> None:
    """With a ridge too small for so few rows they would fit the noise."""
    random = np.random.default_rng(2)
    rows, dense = random.normal(size=(60, 32)), some_map()
    target = dense(rows) + random.normal(size=(60, 8))
    half = np.arange(60) % 2 == 0
    found = round_dense(rows, dense.weight, target, np.ones((60, 1)), half)
    fitted = np.linalg.lstsq(rows, target, rcond=None)[0]
    others = random.normal(size=(1000, 32))
    exact = dense(others)
    assert lost(found, others, exact) < 0.5 * np.square(others @ fitted + dense.bias - exact).sum()
    # Where much is missing, it is made up for.
    target = 3 * dense(rows)
    found = round_dense(rows, dense.weight, target, np.ones((60, 1)), half)
    assert lost(found, rows, target) < 0.01 * np.square(dense(rows) - target).sum()


def test_weights_of_wide_channels_are_not_rounded() -> None:
    rows, dense = mixed_rows(), some_map()
    target, channels = dense(rows), [3, 8, 21, 30]
    found = round_dense(rows, dense.weight, target, ONE_EACH, HALF, channels)
    assert not found.codes[channels].any()
    assert np.array_equal(found.wide, np.float32(found.wide))
    # They make up for what the others lose, so they are not what they were.
    assert np.abs(found.wide - dense.weight[channels]).max() > 1e-6
    without = round_dense(rows, dense.weight, target, ONE_EACH, HALF)
    assert lost(found, rows, target) < 0.9 * lost(without, rows, target)


def test_a_map_without_weights_stays_without() -> None:
    rows, dense = mixed_rows(), some_map()
    nothing = np.zeros_like(dense.weight)
    found = round_dense(rows, nothing, np.zeros((400, 8)), ONE_EACH, HALF)
    assert np.isfinite(found.scales).all()
    assert np.abs(found(rows)).max() == 0.0


def test_wide_channels_are_those_that_reach_furthest() -> None:
    rows = mixed_rows() / np.abs(mixed_rows()).max(axis=0)
    furthest = [2, 9, 17, 28]
    rows[5, furthest] = 40.0
    assert len(furthest) == WIDE_CHANNELS
    assert choose_channels(rows) == furthest


def test_wide_channels_keep_their_values_and_leave_the_others_their_codes() -> None:
    rows = np.array([[900.0, 127.0, -63.4, 0.6]])
    assert code_rows(rows, channels=[0]).tolist() == [[900.0, 127.0, -63.0, 1.0]]
    assert code_rows(rows)[0, 3] == 0.0


def test_wide_channels_are_not_evened_out() -> None:
    rows, dense = mixed_rows(), some_map()
    rows[:, 7] *= 500
    few = np.zeros((400, 1), dtype=bool)
    fold = choose_fold(rows, dense.weight, ONE_EACH, few, [7])
    assert (fold.middle[7], fold.scale[7]) == (0.0, 1.0)
    others = np.delete(np.arange(32), 7)
    alone = choose_fold(rows[:, others], dense.weight[others], ONE_EACH, few)
    assert np.array_equal(fold.scale[others], alone.scale)


def test_codes_of_two_bytes_have_128_parts_of_one() -> None:
    rows = np.array([[127.0, -63.4, 0.6], [127.0, -63.4, 0.6]])
    found = code_rows(rows, np.array([[True], [False]]))
    assert found.tolist() == [[127.0, -63.3984375, 0.6015625], [127.0, -63.0, 1.0]]


def test_activations_of_two_bytes_are_their_steps() -> None:
    rows = np.array([[0.3, 1200.0, -0.1], [0.3, 1200.0, -0.1]])
    found = code_active(rows, 32, np.array([[True], [False]]))
    assert found[0].tolist() == [10 / 32, 32639 / 32, -3 / 32]
    assert found[1].tolist() == code_active(rows[1:], 32)[0].tolist()


def test_codes_of_a_row_have_its_own_scale() -> None:
    rows = np.array([[127.0, -63.4, 0.6], [0.0127, 0.0, -0.00634], [0.0, 0.0, 0.0]])
    expected = np.array([[127.0, -63.0, 1.0], [0.0127, 0.0, -0.0063], [0.0, 0.0, 0.0]])
    np.testing.assert_allclose(code_rows(rows), expected, rtol=1e-12)


def test_codes_of_activations_keep_zero_and_the_least_of_gelu() -> None:
    rows = np.array([[-0.17, 0.0, 10.0], [-0.17, 0.0, 0.0], [0.3, 1000.0, -0.1]])
    found = code_active(rows, 32)
    assert found[:, :2][:2, 1].tolist() == [0.0, 0.0]
    step = (10.17 / 255, 0.17 / 255, 1024 / 255)
    for row, coded, size in zip(rows, found, step, strict=True):
        limit = size / 2 + 1 / 32
        assert (np.abs(np.minimum(row, 32767 / 32) - coded) <= limit * 1.1).all()
    assert found[2, 1] > 900


def test_steps_are_as_fine_as_the_largest_activation_lets_them_be() -> None:
    for largest, steps in ((1.0, 512), (42.6, 512), (42.7, 256), (102.0, 128), (1e6, 32)):
        assert choose_steps(np.array([[largest, -0.1]])) == steps


def test_rows_count_by_what_the_norm_behind_them_leaves() -> None:
    rows = np.array([[1.0, -1.0], [10.0, -10.0]])
    found = shares_before(Norm(np.ones(2), np.zeros(2), 1.0), rows, np.ones((2, 1)))
    np.testing.assert_allclose(found[0] / found[1], 101 / 2)
    assert found.mean() == 1.0


def test_rows_that_have_gone_astray_count_nothing() -> None:
    exact = np.array([[3.0, 4.0], [30.0, 40.0], [3.0, 4.0]])
    shares = np.array([[0.5], [1.0], [1.5]])
    near = exact + np.array([[0.0, 1.0], [0.0, 10.0], [1.0, 0.0]])
    assert without_astray(shares, near, exact) is shares

    far = exact + np.array([[0.0, 1.0], [0.0, 10.0], [0.0, 3.0]])
    np.testing.assert_allclose(without_astray(shares, far, exact), [[1.0], [2.0], [0.0]])


# The texts.


def test_drawn_texts_are_what_draw_draws(tmp_path: Path) -> None:
    names = ("drawn.txt", "hard.jsonl")
    for name in names:
        (tmp_path / name).write_bytes((TEXTS / name).read_bytes())
    (tmp_path / "drawn.txt").write_text("", "utf-8")
    draw.main(tmp_path)
    for name in names:
        assert (tmp_path / name).read_bytes() == (TEXTS / name).read_bytes(), name


def test_no_text_that_judges_is_one_to_calibrate_on() -> None:
    calibration, held_out = read_split(None)
    hard = [text for every in read_hard().values() for text in every]
    known = {bare(text) for text in calibration}
    assert len(calibration) > 2000
    for texts in (held_out, hard, read_golden_texts()):
        assert not [text for text in texts if bare(text) in known]
        assert len(set(texts)) == len(texts) > 40


def read_golden_texts() -> list[str]:
    lines = (TEXTS / "golden.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]
