"""The lean graph: one input, no mask, no padding, fp32 or static int8.

It stays within opset 17 and onnxruntime's long-standing contrib operators, so that it loads on
onnxruntime 1.23 as well as on the newest.
"""

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from export.calibrate import QuantizedLayer, quantize_words
from export.forward import Array, Dense, Norm, Padding, Weights
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

    def attention(
        self, name: str, query: str, key: str, value: str, heads: int, bias: str | None
    ) -> str:
        """Add multi-head attention without a mask, with a bias on the scores if there is one."""
        inputs = [query, key, value]
        if bias is not None:
            inputs += ["", "", bias]
        return self.node("MultiHeadAttention", name, inputs, domain=CONTRIB, num_heads=heads)


def build_fp32(weights: Weights) -> onnx.ModelProto:
    """Build the float32 lean graph."""
    graph = GraphBuilder()
    words = graph.node("Gather", "words", [graph.float("words.table", weights.words), "input_ids"])
    rows = _embeddings(graph, words, weights)
    bias = _score_bias(graph, weights)
    for index, layer in enumerate(weights.layers):
        at = f"layer{index}"
        mixed = graph.attention(
            f"{at}.attention",
            graph.dense(f"{at}.query", rows, layer.query),
            graph.dense(f"{at}.key", rows, layer.key),
            graph.dense(f"{at}.value", rows, layer.value),
            weights.heads,
            bias,
        )
        out = graph.dense(f"{at}.attention_output", mixed, layer.attention_output)
        rows = graph.node("Add", f"{at}.attention_sum", [out, rows])
        rows = graph.norm(f"{at}.attention_norm", rows, layer.attention_norm)
        wide = graph.dense(f"{at}.intermediate", rows, layer.intermediate)
        active = graph.node("Gelu", f"{at}.gelu", [wide], domain=CONTRIB)
        out = graph.dense(f"{at}.output", active, layer.output)
        rows = graph.node("Add", f"{at}.output_sum", [out, rows])
        last = index + 1 == len(weights.layers)
        name = "last_hidden_state" if last else f"{at}.output_norm"
        rows = graph.norm(name, rows, layer.output_norm)
    return _model(graph, weights)


def build_int8(weights: Weights, layers: list[QuantizedLayer]) -> onnx.ModelProto:
    """Build the static int8 lean graph; word embeddings are int8 with a scale a row."""
    graph = GraphBuilder()
    table, scales = quantize_words(weights.words)
    codes = graph.node("Gather", "words.codes", [graph.constant("words.table", table), "input_ids"])
    scale = graph.node("Gather", "words.scale", [graph.float("words.scales", scales), "input_ids"])
    cast = graph.node("Cast", "words.cast", [codes], to=TensorProto.FLOAT)
    words = graph.node("Mul", "words", [cast, scale])
    folds = [layer.qkv_fold for layer in layers]
    graph.constant("outliers", np.array([len(layers[0].outliers)], dtype=np.int64))
    graph.constant("last_axis", np.array([2], dtype=np.int64))
    rows = _embeddings(graph, words, weights, folds[0])
    bias = _score_bias(graph, weights)
    for index, (layer, exact) in enumerate(zip(layers, weights.layers, strict=True)):
        at = f"layer{index}"
        shared = graph.quantize(f"{at}.codes", rows, layer.qkv_fold.range)
        mixed = graph.attention(
            f"{at}.attention",
            graph.quantized_dense(f"{at}.query", shared, layer.query),
            graph.quantized_dense(f"{at}.key", shared, layer.key),
            graph.quantized_dense(f"{at}.value", shared, layer.value),
            weights.heads,
            bias,
        )
        narrow = graph.quantize(f"{at}.attention_codes", mixed, layer.attention_range)
        out = graph.quantized_dense(f"{at}.attention_output", narrow, layer.attention_output)
        rows = graph.node(
            "Add", f"{at}.attention_sum", [out, graph.unfold(at, rows, layer.qkv_fold)]
        )
        rows = graph.norm(
            f"{at}.attention_norm", rows, folded_norm(exact.attention_norm, layer.ffn_fold)
        )
        codes_in = graph.quantize(f"{at}.ffn_codes", rows, layer.ffn_fold.range)
        intermediate, output = outliers_first(layer)
        wide = graph.quantized_dense(f"{at}.intermediate", codes_in, intermediate)
        active = graph.node("Gelu", f"{at}.gelu", [wide], domain=CONTRIB)
        few = graph.node("Slice", f"{at}.outliers", [active, "zero", "outliers", "last_axis"])
        part = graph.node(
            "MatMul",
            f"{at}.outlier_product",
            [few, graph.float(f"{at}.outlier_weight", layer.outlier_weights)],
        )
        many = graph.quantize(f"{at}.output_codes", active, layer.output_range)
        out = graph.quantized_dense(f"{at}.output", many, output)
        rows = graph.node(
            "Add", f"{at}.outlier_sum", [part, graph.unfold(f"{at}.ffn", rows, layer.ffn_fold)]
        )
        rows = graph.node("Add", f"{at}.output_sum", [out, rows])
        if index + 1 < len(layers):
            norm = folded_norm(exact.output_norm, folds[index + 1])
            rows = graph.norm(f"{at}.output_norm", rows, norm)
        else:
            rows = graph.norm("last_hidden_state", rows, exact.output_norm)
    return _model(graph, weights)


def outliers_first(layer: QuantizedLayer) -> tuple[QuantizedDense, QuantizedDense]:
    """Give the feed-forward maps with the outlier neurons in front.

    Cutting off the front of a row costs a tenth of gathering from all over it.
    """
    wide, out = layer.intermediate, layer.output
    others = np.setdiff1d(np.arange(len(wide.bias)), layer.outliers)
    order = np.concatenate([layer.outliers, others])
    return (
        QuantizedDense(wide.codes[:, order], wide.scales[order], wide.bias[order]),
        replace(out, codes=out.codes[order]),
    )


def folded_norm(norm: Norm, fold: Fold) -> Norm:
    """Give the norm whose output is already folded."""
    return Norm(norm.gain / fold.scale, fold(norm.shift), norm.epsilon)


def _embeddings(graph: GraphBuilder, words: str, weights: Weights, fold: Fold | None = None) -> str:
    """Add the positions of T tokens to the word rows, and normalise."""
    graph.constant("zero", np.array([0], dtype=np.int64))
    shape = graph.node("Shape", "length", ["input_ids"], start=1, end=2)
    if weights.padding is None:
        table = graph.float("positions.table", weights.positions)
        places = graph.node("Slice", "positions", [table, "zero", shape, "zero"])
    else:
        places = _counted_positions(graph, weights.positions, weights.padding)
    summed = graph.node("Add", "embeddings.sum", [words, places])
    norm = weights.embedding_norm
    return graph.norm("embeddings", summed, norm if fold is None else folded_norm(norm, fold))


def _counted_positions(graph: GraphBuilder, positions: Array, padding: Padding) -> str:
    """Add the positions of tokens, of which padding takes none."""
    table = graph.float("positions.table", np.vstack([padding.row, positions]))
    token = graph.constant("padding.token", np.array([padding.token], dtype=np.int64))
    same = graph.node("Equal", "padding.same", ["input_ids", token])
    other = graph.node("Not", "padding.other", [same])
    counted = graph.node("Cast", "padding.counted", [other], to=TensorProto.INT64)
    axis = graph.constant("padding.axis", np.array(1, dtype=np.int64))
    count = graph.node("CumSum", "padding.count", [counted, axis])
    numbers = graph.node("Mul", "padding.numbers", [count, counted])
    return graph.node("Gather", "positions", [table, numbers])


def _score_bias(graph: GraphBuilder, weights: Weights) -> str | None:
    """Add the part of the scores' bias that is for the first T tokens, (1, heads, T, T)."""
    if weights.bias is None:
        return None
    table = graph.float("bias.table", weights.bias[None])
    begin = graph.constant("bias.begin", np.array([0, 0], dtype=np.int64))
    axes = graph.constant("bias.axes", np.array([2, 3], dtype=np.int64))
    end = graph.node("Concat", "bias.end", ["length", "length"], axis=0)
    return graph.node("Slice", "bias", [table, begin, end, axes])


def _model(graph: GraphBuilder, weights: Weights) -> onnx.ModelProto:
    """Wrap the nodes of an encoder."""
    width = weights.words.shape[1]
    return wrap(
        helper.make_graph(
            graph.nodes,
            "minilm",
            [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["B", "T"])],
            [
                helper.make_tensor_value_info(
                    "last_hidden_state", TensorProto.FLOAT, ["B", "T", width]
                )
            ],
            graph.constants,
        )
    )


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
