"""Nodes and constants to a checked ONNX model, and the model to its two files."""

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from export.forward import Array, Dense, Norm
from export.ranges import Fold, Range
from export.rounding import QuantizedDense

OPSET = 17
IR_VERSION = 8
CONTRIB = "com.microsoft"
# Constants of this many bytes go to the file of weights: all matrices and tables, no vectors.
WEIGHT_BYTES = 8192


class GraphBuilder:
    """Nodes and constants of a graph in the making; each method returns its output's name."""

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
            [rows, self.float(f"{name}.gain", norm.gain), self.float(f"{name}.shift", norm.shift)],
            epsilon=norm.epsilon,
            axis=-1,
        )

    def dense(self, name: str, rows: str, dense: Dense) -> str:
        """Add a float32 linear map."""
        product = self.node(
            "MatMul", f"{name}.product", [rows, self.float(f"{name}.weight", dense.weight)]
        )
        return self.node("Add", name, [product, self.float(f"{name}.bias", dense.bias)])

    def quantize(self, name: str, rows: str, limits: Range) -> tuple[str, str, str]:
        """Add a uint8 quantisation; give the names of codes, scale and zero point."""
        scale = self.float(f"{name}.scale", np.array(limits.scale))
        zero = self.constant(f"{name}.zero", np.array(limits.zero, dtype=np.uint8))
        return self.node("QuantizeLinear", name, [rows, scale, zero]), scale, zero

    def quantized_dense(self, name: str, codes: tuple[str, str, str], dense: QuantizedDense) -> str:
        """Add a linear map on quantised rows, int8 weights, float32 out."""
        rows, scale, zero = codes
        return self.node(
            "MatMulIntegerToFloat",
            name,
            [
                rows,
                self.constant(f"{name}.weight", dense.codes),
                scale,
                self.float(f"{name}.scales", dense.scales),
                zero,
                "",
                self.float(f"{name}.bias", dense.bias),
            ],
            domain=CONTRIB,
        )

    def unfold(self, at: str, rows: str, fold: Fold) -> str:
        """Add the residual: the rows at their own scale again, still without their middle."""
        scale = self.float(f"{at}.residual_scale", fold.scale)
        return self.node("Mul", f"{at}.residual", [rows, scale])

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


def wrap(graph: onnx.GraphProto) -> onnx.ModelProto:
    """Make a checked model of a graph; nothing in it depends on the time or the machine."""
    model = helper.make_model(
        graph,
        producer_name="minilm-onnx",
        opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid(CONTRIB, 1)],
        ir_version=IR_VERSION,
    )
    onnx.checker.check_model(model)
    return model


def save_graph(model: onnx.ModelProto, path: Path, weights: str) -> None:
    """Write a model, its large constants to a file of their own beside it.

    Args:
        model: stays whole.
        path: file to write.
        weights: name of the other file.
    """
    split = onnx.ModelProto()
    split.CopyFrom(model)  # onnx would empty the constants of the one it is given
    file = path.parent / weights
    file.unlink(missing_ok=True)  # onnx would append to it
    with contextlib.chdir(path.parent):  # where onnx looks whether it is there
        onnx.save_model(
            split,
            path.name,
            save_as_external_data=True,
            location=weights,
            size_threshold=WEIGHT_BYTES,
        )
    file.touch()  # a model without large constants has the file too
    file.chmod(path.stat().st_mode)  # onnx makes it for its owner alone
