"""The error function: the standard library's, to the last bits."""

import math

import numpy as np

from minilm_onnx.making.errorfunction import erf


def test_erf_is_the_standard_librarys() -> None:
    values = np.concatenate([np.linspace(-8, 8, 20_001), [0.0, -0.0, 1.0, -1.0, 5e-324, 700.0]])
    expected = np.array([math.erf(value) for value in values])
    found = erf(values.reshape(-1, 1))[:, 0]
    assert np.abs(found - expected).max() <= 2.3e-16
    assert np.array_equal(np.signbit(found), np.signbit(expected))


def test_erf_of_what_is_no_number_is_none() -> None:
    found = erf(np.array([np.inf, -np.inf, np.nan]))
    assert found[:2].tolist() == [1.0, -1.0]
    assert math.isnan(found[2])
