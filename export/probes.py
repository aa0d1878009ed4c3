"""Small graphs that ask the CPU what it does and how fast: python -m export.probes."""

from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from minilm_onnx.engine.policy import BF16, SATURATION
from minilm_onnx.making.builder import CONTRIB, wrap
from minilm_onnx.measure.ceiling import PRODUCTS, Product, product_graph

WIDTH, BF16_WIDTH = 64, 8


def build_saturation() -> bytes:
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


def build_bf16() -> bytes:
    """Build a product of float32 rows with the identity, which gives the rows, if exact."""
    weight = numpy_helper.from_array(np.eye(BF16_WIDTH, dtype=np.float32), "weight")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["rows", "weight"], ["products"])],
        "probe",
        [helper.make_tensor_value_info("rows", TensorProto.FLOAT, ["N", BF16_WIDTH])],
        [helper.make_tensor_value_info("products", TensorProto.FLOAT, ["N", BF16_WIDTH])],
        [weight],
    )
    data: bytes = wrap(graph).SerializeToString(deterministic=True)
    return data


def build_product(product: Product) -> bytes:
    """Build one of the model's int8 products, as its graph has it, in a few hundred bytes.

    The weights are all alike, which takes as long, so a constant's shape stands for them;
    onnxruntime makes them when it loads the graph.
    """
    constants = {
        "weights": ([product.inner, product.outer], np.int8(3)),
        "scales": ([product.outer], np.float32(0.01)),
        "zeros": ([product.outer], np.int8(0)),
        "bias": ([product.outer], np.float32(0)),
    }
    tensors = [
        numpy_helper.from_array(np.array(0.01, dtype=np.float32), "scale"),
        numpy_helper.from_array(np.array(128, dtype=np.uint8), "zero"),
    ]
    nodes = []
    for name, (shape, value) in constants.items():
        tensors.append(numpy_helper.from_array(np.array(shape, dtype=np.int64), f"{name}_shape"))
        filling = numpy_helper.from_array(np.array([value]))
        nodes.append(helper.make_node("ConstantOfShape", [f"{name}_shape"], [name], value=filling))
    inputs = ["rows", "weights", "scale", "scales", "zero", "zeros", "bias"]
    nodes.append(helper.make_node("MatMulIntegerToFloat", inputs, ["product"], domain=CONTRIB))
    graph = helper.make_graph(
        nodes,
        "product",
        [helper.make_tensor_value_info("rows", TensorProto.UINT8, ["N", product.inner])],
        [helper.make_tensor_value_info("product", TensorProto.FLOAT, ["N", product.outer])],
        tensors,
    )
    data: bytes = wrap(graph).SerializeToString(deterministic=True)
    return data


def build_all() -> dict[Path, bytes]:
    """Build every probe: where it belongs, and its bytes."""
    products = {product_graph(product): build_product(product) for product in PRODUCTS}
    return {SATURATION: build_saturation(), BF16: build_bf16(), **products}


if __name__ == "__main__":
    for path, data in build_all().items():
        path.write_bytes(data)
