"""The machine's ceiling for int8: python -m benchmarks.ceiling THREADS, in its own environment.

Times onnxruntime's MatMulIntegerToFloat (uint8 rows, int8 weights with a scale a column) on the
four kinds of matrix product of this model, one-thread sessions on as many Python threads, with
weights that stay in the cache because nothing else runs. What an engine loses against this goes
to attention, normalisation, activation functions, quantising and moving weights.
"""

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

NAME = "ceiling"
REQUIREMENTS = ("numpy==2.4.6", "onnx==1.23.2", "onnxruntime==1.32.0")
LAYERS = 6
ROWS = (128, 256, 512)
SECONDS = 0.4


@dataclass(frozen=True)
class Product:
    """A matrix product: so many of it a layer, from `inner` to `outer` columns."""

    inner: int
    outer: int
    count: int


# Q, K, V and the attention's output; the two of the feed-forward network.
PRODUCTS = (Product(384, 384, 4), Product(384, 1536, 1), Product(1536, 384, 1))
OPERATIONS_A_TOKEN = LAYERS * sum(2 * p.count * p.inner * p.outer for p in PRODUCTS)


def session(product: Product) -> Any:
    """Make a one-thread session of one product."""
    import onnx
    import onnxruntime
    from onnx import helper, numpy_helper

    draw = np.random.default_rng(0)
    shape = (product.inner, product.outer)
    constants = {
        "weights": draw.integers(-127, 128, shape, dtype=np.int8),
        "scale": np.float32(0.01),
        "scales": np.full(product.outer, 0.01, dtype=np.float32),
        "zero": np.uint8(128),
        "zeros": np.zeros(product.outer, dtype=np.int8),
        "bias": np.zeros(product.outer, dtype=np.float32),
    }
    node = helper.make_node(
        "MatMulIntegerToFloat",
        ["rows", "weights", "scale", "scales", "zero", "zeros", "bias"],
        ["product"],
        domain="com.microsoft",
    )
    values = (
        helper.make_tensor_value_info("rows", onnx.TensorProto.UINT8, ["N", product.inner]),
        helper.make_tensor_value_info("product", onnx.TensorProto.FLOAT, ["N", product.outer]),
    )
    tensors = [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()]
    graph = helper.make_graph([node], NAME, values[:1], values[1:], tensors)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def seconds_a_row(product: Product, rows: int, threads: int) -> float:
    """Time a product on all threads at once: seconds of the machine for one row."""
    sessions = [session(product) for _ in range(threads)]
    data = np.random.default_rng(1).integers(0, 256, (rows, product.inner), dtype=np.uint8)
    bindings = []
    for one in sessions:
        binding = one.io_binding()
        binding.bind_cpu_input("rows", data)
        binding.bind_output("product", "cpu")
        one.run_with_iobinding(binding)
        bindings.append(binding)
    end = time.perf_counter() + SECONDS / len(ROWS)

    def work(index: int) -> float:
        runs, start = 0, time.perf_counter()
        while time.perf_counter() < end:
            sessions[index].run_with_iobinding(bindings[index])
            runs += 1
        return runs * rows / (time.perf_counter() - start)

    with ThreadPoolExecutor(threads) as pool:
        return 1.0 / sum(pool.map(work, range(threads)))


def measure(threads: int) -> dict[str, float]:
    """Give the ceiling of all threads together, at the best number of rows of each product."""
    seconds_a_token = LAYERS * sum(
        product.count * min(seconds_a_row(product, rows, threads) for rows in ROWS)
        for product in PRODUCTS
    )
    return {
        "gops": OPERATIONS_A_TOKEN / seconds_a_token / 1e9,
        "tokens_per_second": 1.0 / seconds_a_token,
    }


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]))))
