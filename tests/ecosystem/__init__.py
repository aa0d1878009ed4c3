"""Bridges, each with its framework's own tests where it has some; skipped where it is not there."""

from typing import Any

import numpy as np

from minilm_onnx.arrays import FloatArray


def floats(given: Any) -> FloatArray:
    """What a framework made lists of."""
    return np.array(given, dtype=np.float32)
