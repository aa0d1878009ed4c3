"""Nodes and constants to a checked ONNX model, and the model to its two files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper
from onnx.external_data_helper import set_external_data

from minilm_onnx.making.forward import Array, Dense, Norm
from minilm_onnx.making.operators import DOMAIN, pack
from minilm_onnx.making.rounding import QuantizedDense

OPSET = 17
IR_VERSION = 8
CONTRIB = "com.microsoft"
# Constants of this many bytes go to the file of weights: all matrices and tables, no vectors.
WEIGHT_BYTES = 8192
CACHE_LINE = 64


class GraphBuilder:
    """Nodes and constants of a graph in the making; methods return the names of what they add."""

    def __init__(self) -> None:
        """Start with nothing."""
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, name: str, value: npt.NDArray[np.generic]) -> str:
        """Add an initializer."""
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def float(self, name: str, value: Array) -> str:
        """Add a float32 initializer."""
        return self.constant(name, value.astype(np.float32))

    def node(
        self, kind: str, name: str, inputs: list[str], domain: str = "", **attributes: Any
    ) -> str:
        """Add a node with one output of the same name."""
        self.nodes.append(
            helper.make_node(kind, inputs, [name], name=name, domain=domain, **attributes)
        )
        return name

    def norm(self, name: str, rows: str, norm: Norm) -> str:
        """Add a layer normalisation."""
        return self.node(
            "LayerNormalization",
            name,
            [rows, *self.gain_shift(name, norm)],
            epsilon=norm.epsilon,
            axis=-1,
        )

    def dense(self, name: str, rows: str, dense: Dense) -> str:
        """Add a float32 linear map."""
        product = self.node(
            "MatMul", f"{name}.product", [rows, self.float(f"{name}.weight", dense.weight)]
        )
        return self.node("Add", name, [product, self.float(f"{name}.bias", dense.bias)])

    def quantized(self, name: str, dense: QuantizedDense) -> list[str]:
        """Add what a native operator is given of an int8 map."""
        return [
            self.constant(f"{name}.weight", pack(dense.codes)),
            self.float(f"{name}.scale", dense.scales),
            self.float(f"{name}.bias", dense.bias),
        ]

    def wide(self, name: str, dense: QuantizedDense) -> list[str]:
        """Add what a native operator is given of an int8 map's wide channels."""
        return [
            self.constant(f"{name}.channels", np.array(dense.channels, dtype=np.int64)),
            self.float(f"{name}.wide", dense.wide),
        ]

    def residual_norm(self, name: str, residual: Array, norm: Norm) -> list[str]:
        """Add what a native operator is given of its residual and norm."""
        return [self.float(f"{name}.residual", residual), *self.gain_shift(name, norm)]

    def gain_shift(self, name: str, norm: Norm) -> list[str]:
        """Add the two vectors of a norm."""
        return [self.float(f"{name}.gain", norm.gain), self.float(f"{name}.shift", norm.shift)]

    def attention(self, name: str, inputs: list[str], heads: int, bias: str | None) -> str:
        """Add multi-head attention of query, key and value, without a mask.

        Args:
            name: of the node.
            inputs: the three, (B, T, H) each.
            heads: how many there are.
            bias: what is added to the scores, if anything is.
        """
        if bias is not None:
            inputs = [*inputs, "", "", bias]
        return self.node("MultiHeadAttention", name, inputs, domain=CONTRIB, num_heads=heads)


def wrap(graph: onnx.GraphProto, functions: Sequence[onnx.FunctionProto] = ()) -> onnx.ModelProto:
    """Make a checked model of a graph; nothing in it depends on the time or the machine."""
    domains = {"": OPSET, CONTRIB: 1} | ({DOMAIN: 1} if functions else {})
    model = helper.make_model(
        graph,
        functions=functions,
        producer_name="minilm-onnx",
        opset_imports=[helper.make_opsetid(*domain) for domain in domains.items()],
        ir_version=IR_VERSION,
    )
    onnx.checker.check_model(model)
    return model


def save_graph(model: onnx.ModelProto, path: Path, weights: str) -> None:
    """Write a model, its large constants to a file of their own beside it.

    Each begins at a whole cache line, so that kernels read it where the file is mapped.

    Args:
        model: stays whole.
        path: file to write.
        weights: name of the other file.
    """
    split = onnx.ModelProto()
    split.CopyFrom(model)
    with (path.parent / weights).open("wb") as file:
        for tensor in split.graph.initializer:
            if len(tensor.raw_data) < WEIGHT_BYTES:
                continue
            file.write(bytes(-file.tell() % CACHE_LINE))
            set_external_data(tensor, weights, file.tell(), len(tensor.raw_data))
            file.write(tensor.raw_data)
            tensor.ClearField("raw_data")
    path.write_bytes(split.SerializeToString(deterministic=True))
