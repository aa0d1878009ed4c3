"""Array types used in signatures."""

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
IdArray = npt.NDArray[np.int64]
IndexArray = npt.NDArray[np.intp]
