"""The error function in numpy, to the last bit or the one before it, so that scipy is not needed.

Source of the rational functions: Moshier, Cephes Mathematical Library, ndtr.c, whose order of
operations this keeps; scipy computes the same ones.
"""

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

# erf(x) / x by x squared, up to 1.
T = (
    *(9.60497373987051638749e0, 9.00260197203842689217e1, 2.23200534594684319226e3),
    *(7.00332514112805075473e3, 5.55923013010394962768e4),
)
U = (
    *(1.0, 3.35617141647503099647e1, 5.21357949780152679795e2, 4.59432382970980127987e3),
    *(2.26290000613890934246e4, 4.92673942608635921086e4),
)
# erfc(x) * exp(x squared) by x, from 1 to 8.
P = (
    *(2.46196981473530512524e-10, 5.64189564831068821977e-1, 7.46321056442269912687e0),
    *(4.86371970985681366614e1, 1.96520832956077098242e2, 5.26445194995477358631e2),
    *(9.34528527171957607540e2, 1.02755188689515710272e3, 5.57535335369399327526e2),
)
Q = (
    *(1.0, 1.32281951154744992508e1, 8.67072140885989742329e1, 3.54937778887819891062e2),
    *(9.75708501743205489753e2, 1.82390916687909736289e3, 2.24633760818710981792e3),
    *(1.65666309194161350182e3, 5.57535340817727675546e2),
)
# Beyond it erf is 1 in float64.
END = 6.0


def erf(values: Array) -> Array:
    """Give the error function of each value, of any shape."""
    out: Array = np.empty_like(values)
    size = np.abs(values)
    near = size <= 1.0
    some = values[near]
    square = some * some
    out[near] = some * _polynomial(square, T) / _polynomial(square, U)
    far = ~near
    some = np.minimum(size[far], END)
    rest = np.exp(-some * some) * _polynomial(some, P) / _polynomial(some, Q)
    out[far] = np.copysign(1.0 - rest, values[far])
    return out


def _polynomial(x: Array, coefficients: tuple[float, ...]) -> Array:
    """Evaluate a polynomial by Horner's rule, the highest power first."""
    total = np.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        total *= x
        total += coefficient
    return total
