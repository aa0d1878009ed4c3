"""The graph that finds out whether this CPU's 8-bit products saturate: python -m export.probe."""

from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from export.graph import CONTRIB, wrap

PROBE = Path(__file__).parent.parent / "minilm_onnx" / "probe.onnx"
WIDTH = 64


def build_probe() -> bytes:
    """Build a product of uint8 rows with the largest int8 weights: 255 * 127 * WIDTH, if exact."""
    one = numpy_helper.from_array(np.array(1, dtype=np.float32), "one")
    weight = numpy_helper.from_array(np.full((WIDTH, WIDTH), 127, dtype=np.int8), "weight")
    node = helper.make_node(
        "MatMulIntegerToFloat", ["rows", "weight", "one", "one"], ["sums"], domain=CONTRIB
    )
    graph = helper.make_graph(
        [node],
        "probe",
        [helper.make_tensor_value_info("rows", TensorProto.UINT8, ["N", WIDTH])],
        [helper.make_tensor_value_info("sums", TensorProto.FLOAT, ["N", WIDTH])],
        [one, weight],
    )
    data: bytes = wrap(graph).SerializeToString(deterministic=True)
    return data


if __name__ == "__main__":
    PROBE.write_bytes(build_probe())
