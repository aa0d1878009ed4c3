"""Fit the constants of curves.h: `python kernels/tables.py` writes tables.h beside itself.

Each is a polynomial of least squares at Chebyshev nodes, which is within a few percent of the best
one, in float64 and then rounded to float32.
"""

from math import erf, sqrt
from pathlib import Path

import numpy as np

HEAD = "/* Made by tables.py. */\n#pragma once\n\n"


def nodes(low: float, high: float) -> np.ndarray:
    """Give 200 Chebyshev nodes, float64."""
    turn = np.cos(np.pi * (np.arange(200) + 0.5) / 200)
    return low + (high - low) * (turn + 1) / 2


def fit(x: np.ndarray, y: np.ndarray, degree: int, weight: np.ndarray) -> np.ndarray:
    """Give the coefficients of 1, x, ..., float64."""
    return np.polynomial.polynomial.polyfit(x, y, degree, w=weight)


def bump(x: np.ndarray) -> np.ndarray:
    """Give what GELU lacks to max(x, 0), for x of at least 0: x times the normal tail beyond x."""
    return np.array([v * (1 - erf(v / sqrt(2))) / 2 for v in x])


def numbers(values: np.ndarray) -> str:
    """Give C's initialiser, with as many digits as float32 needs."""
    return "{" + ", ".join(f"{np.float32(value):.9g}f" for value in values) + "}"


def main() -> None:
    """Write tables.h."""
    x = nodes(-0.5, 0.5)
    exp2 = fit(x, np.exp2(x), 3, 1 / np.exp2(x))
    pieces = [
        fit(x, bump(x), 2, np.ones_like(x))
        for x in (nodes(place / 4, (place + 1) / 4) for place in range(16))
    ]
    rows = ",\n    ".join(numbers(row) for row in np.array(pieces).T)
    text = (
        f"{HEAD}/* 2^x for x from -0.5 to 0.5: the factors of 1, x, x^2, x^3. */\n"
        f"static const float EXP2[4] = {numbers(exp2)};\n\n"
        "/* x * (1 - Phi(x)) in sixteenths of 0 to 4: the factors of 1, of x, of x^2. */\n"
        f"static const float BUMP[3][16] = {{\n    {rows}}};\n"
    )
    Path(__file__).with_name("tables.h").write_text(text, "utf-8")


if __name__ == "__main__":
    main()
