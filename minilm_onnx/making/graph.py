"""The lean graph: one input, no mask, no padding, fp32, or int8 of native operators.

It stays within opset 17 and onnxruntime's long-standing contrib operators, so that it loads on
onnxruntime 1.23 as well as on the newest.
"""

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper

from minilm_onnx.making.builder import CONTRIB, GraphBuilder, wrap
from minilm_onnx.making.calibrate import QuantizedLayer, quantize_words
from minilm_onnx.making.folding import Fold
from minilm_onnx.making.forward import Array, Norm, Padding, Weights
from minilm_onnx.making.limits import by_distance
from minilm_onnx.making.operators import DOMAIN, functions
from minilm_onnx.making.rounding import QuantizedDense


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
    """Build the int8 graph of native operators; word embeddings are int8 with a scale a row.

    Args:
        weights: the fp32 model, which `check_operators` has accepted.
        layers: its layers in int8.
    """
    graph = GraphBuilder()
    folds = [layer.qkv_fold for layer in layers]
    rows = _native_embeddings(graph, weights, folds[0])
    distance = []
    if weights.bias is not None:
        distance = [graph.float("distance", by_distance(weights.bias) * np.log2(np.e))]
    for index, (layer, exact) in enumerate(zip(layers, weights.layers, strict=True)):
        last = index + 1 == len(layers)
        name = f"layer{index}.attention"
        project = by_head(layer, weights.heads)
        norm = folded_norm(exact.attention_norm, layer.ffn_fold)
        rows = graph.node(
            "SelfAttention",
            name,
            [
                rows,
                *graph.quantized(f"{name}.project", project),
                *graph.quantized(f"{name}.output", layer.attention_output),
                *graph.residual_norm(name, layer.qkv_fold.scale, norm),
                *graph.wide(name, project),
                *distance,
            ],
            domain=DOMAIN,
            heads=weights.heads,
            fine=layer.fine,
            epsilon=norm.epsilon,
        )
        name = f"layer{index}.feed_forward"
        norm = exact.output_norm if last else folded_norm(exact.output_norm, folds[index + 1])
        rows = graph.node(
            "FeedForward",
            "last_hidden_state" if last else name,
            [
                rows,
                *graph.quantized(f"{name}.up", layer.intermediate),
                *graph.quantized(f"{name}.down", layer.output),
                *graph.residual_norm(name, layer.ffn_fold.scale, norm),
                *graph.wide(name, layer.intermediate),
            ],
            domain=DOMAIN,
            fine=layer.fine,
            steps=float(layer.steps),
            epsilon=norm.epsilon,
        )
    bodies = functions(distance=weights.bias is not None, padding=weights.padding is not None)
    return _model(graph, weights, bodies)


def by_head(layer: QuantizedLayer, heads: int) -> QuantizedDense:
    """Give queries, keys and values as one map: those of the first head, of the second, ..."""
    parts = (layer.query, layer.key, layer.value)
    width = len(layer.query.bias)
    order = np.arange(3 * width).reshape(3, heads, width // heads).transpose(1, 0, 2).ravel()
    return QuantizedDense(
        np.hstack([part.codes for part in parts])[:, order],
        np.concatenate([part.scales for part in parts])[order],
        np.concatenate([part.bias for part in parts])[order],
        layer.query.channels,
        np.hstack([part.wide for part in parts])[:, order],
    )


def _native_embeddings(graph: GraphBuilder, weights: Weights, fold: Fold) -> str:
    """Add the first operator, whose first place is the padding's where that takes none."""
    codes, scales = quantize_words(weights.words)
    norm = folded_norm(weights.embedding_norm, fold)
    padding, places = -1, weights.positions
    if weights.padding is not None:
        padding, places = weights.padding.token, np.vstack([weights.padding.row, places])
    return graph.node(
        "Embeddings",
        "embeddings",
        [
            "input_ids",
            graph.constant("embeddings.words", codes),
            graph.float("embeddings.scale", scales[:, 0]),
            graph.float("embeddings.places", places),
            *graph.gain_shift("embeddings", norm),
        ],
        domain=DOMAIN,
        epsilon=norm.epsilon,
        padding=padding,
    )


def folded_norm(norm: Norm, fold: Fold) -> Norm:
    """Give the norm whose output is already folded."""
    return Norm(norm.gain / fold.scale, fold(norm.shift), norm.epsilon)


def _embeddings(graph: GraphBuilder, words: str, weights: Weights) -> str:
    """Add the positions of T tokens to the word rows, and normalise."""
    graph.constant("zero", np.array([0], dtype=np.int64))
    shape = graph.node("Shape", "length", ["input_ids"], start=1, end=2)
    if weights.padding is None:
        table = graph.float("positions.table", weights.positions)
        places = graph.node("Slice", "positions", [table, "zero", shape, "zero"])
    else:
        places = _counted_positions(graph, weights.positions, weights.padding)
    summed = graph.node("Add", "embeddings.sum", [words, places])
    return graph.norm("embeddings", summed, weights.embedding_norm)


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


def _model(
    graph: GraphBuilder, weights: Weights, functions: Sequence[onnx.FunctionProto] = ()
) -> onnx.ModelProto:
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
        ),
        functions,
    )
