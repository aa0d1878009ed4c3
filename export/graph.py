"""The lean graph: one input, no mask, no padding, fp32 or static int8.

It stays within opset 17 and onnxruntime's long-standing contrib operators, so that it loads on
onnxruntime 1.23 as well as on the newest.
"""

from dataclasses import replace

import numpy as np
import onnx
from onnx import TensorProto, helper

from export.builder import CONTRIB, GraphBuilder, wrap
from export.calibrate import QuantizedLayer, quantize_words
from export.forward import Array, Norm, Padding, Weights
from export.ranges import Fold
from export.rounding import QuantizedDense


def build_fp32(weights: Weights) -> onnx.ModelProto:
    """Build the float32 lean graph."""
    graph = GraphBuilder()
    words = graph.node("Gather", "words", [graph.float("words.table", weights.words), "input_ids"])
    rows = _embeddings(graph, words, weights)
    bias = _score_bias(graph, weights)
    for index, layer in enumerate(weights.layers):
        at = f"layer{index}"
        maps = (("query", layer.query), ("key", layer.key), ("value", layer.value))
        parts = [graph.dense(f"{at}.{name}", rows, dense) for name, dense in maps]
        mixed = graph.attention(f"{at}.attention", parts, weights.heads, bias)
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
        maps = (("query", layer.query), ("key", layer.key), ("value", layer.value))
        parts = [graph.quantized_dense(f"{at}.{name}", shared, dense) for name, dense in maps]
        mixed = graph.attention(f"{at}.attention", parts, weights.heads, bias)
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
