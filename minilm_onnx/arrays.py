"""Array types used in signatures."""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]
IdArray = npt.NDArray[np.int64]
IndexArray = npt.NDArray[np.intp]
CodeArray: TypeAlias = npt.NDArray[np.int8] | npt.NDArray[np.uint8]
# With the number of axes, for signatures that promise it.
Vector: TypeAlias = "np.ndarray[tuple[int], np.dtype[np.float32]]"
Matrix: TypeAlias = "np.ndarray[tuple[int, int], np.dtype[np.float32]]"
