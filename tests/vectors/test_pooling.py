import numpy as np

from minilm_onnx.vectors.pooling import l2_normalize, mean_pool


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
