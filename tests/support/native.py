"""Small graphs of native operators, with random weights."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from minilm_onnx.arrays import FloatArray
from minilm_onnx.making.folding import WIDE_CHANNELS
from minilm_onnx.making.operators import DOMAIN, functions, pack

Given = npt.NDArray[Any]
Constants = dict[str, Given]
HIDDEN, HEADS, WIDE, WORDS, POSITIONS = 96, 3, 160, 50, 320
OPSETS = {"": 17, "com.microsoft": 1, DOMAIN: 1}
# Names of each operator's inputs behind the first, in their order.
MAP = ("weight", "scale", "bias")
NORM = ("residual", "gain", "shift")
APART = ("channels", "wide")
INPUTS = {
    "Embeddings": ("words", "scale", "places", "gain", "shift"),
    "SelfAttention": (
        *(f"project_{name}" for name in MAP),
        *(f"output_{name}" for name in MAP),
        *NORM,
        *APART,
    ),
    "FeedForward": (
        *(f"up_{name}" for name in MAP),
        *(f"down_{name}" for name in MAP),
        *NORM,
        *APART,
    ),
}


def unpack(packed: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The inverse of `minilm_onnx.making.operators.pack`: (inputs, outputs)."""
    outputs, inputs, columns, rows = packed.shape
    return packed.transpose(1, 3, 0, 2).reshape(inputs * rows, outputs * columns)


def random_map(
    random: np.random.Generator, name: str, inputs: int, outputs: int
) -> dict[str, npt.NDArray[Any]]:
    codes = np.clip(np.rint(random.standard_normal((inputs, outputs)) * 30), -127, 127)
    scale = random.uniform(0.5, 1.5, outputs) / 20 / np.sqrt(inputs)
    return {
        f"{name}_weight": pack(codes.astype(np.int8)),
        f"{name}_scale": scale.astype(np.float32),
        f"{name}_bias": random.normal(0, 0.1, outputs).astype(np.float32),
    }


def random_constants(
    kind: str, seed: int = 0, *, hidden: int = HIDDEN, wide: int = WIDE, heads: int = HEADS
) -> Constants:
    """The inputs of an operator behind the first, by their names."""
    random = np.random.default_rng(seed)
    vectors = {
        name: random.normal(middle, 0.1, hidden).astype(np.float32)
        for name, middle in (("residual", 1.0), ("gain", 1.0), ("shift", 0.0))
    }
    if kind == "Embeddings":
        del vectors["residual"]
        return {
            "words": random.integers(-127, 128, (WORDS, hidden)).astype(np.int8),
            "scale": random.uniform(0.005, 0.02, WORDS).astype(np.float32),
            "places": random.normal(0, 0.5, (POSITIONS, hidden)).astype(np.float32),
            **vectors,
        }
    if kind == "SelfAttention":
        project = random_map(random, "project", hidden, 3 * hidden)
        output = random_map(random, "output", hidden, hidden)
        return project | output | vectors | random_wide(random, hidden, 3 * hidden)
    up = random_map(random, "up", hidden, wide)
    down = random_map(random, "down", wide, hidden)
    return up | down | vectors | random_wide(random, hidden, wide)


def random_wide(random: np.random.Generator, inputs: int, outputs: int) -> Constants:
    """Wide channels and their weights."""
    channels = random.choice(inputs, WIDE_CHANNELS, replace=False)
    weights = random.normal(0, inputs**-0.5, (WIDE_CHANNELS, outputs)).astype(np.float32)
    return {"channels": channels.astype(np.int64), "wide": weights}


def distances(seed: int = 0, heads: int = HEADS) -> npt.NDArray[np.float32]:
    """What SelfAttention may be given beside."""
    random = np.random.default_rng(seed)
    return random.normal(0, 0.7, (heads, 2 * POSITIONS - 1)).astype(np.float32)


def attributes(kind: str, **others: Any) -> dict[str, Any]:
    own: dict[str, dict[str, Any]] = {
        "Embeddings": {"padding": -1},
        "SelfAttention": {"heads": HEADS, "fine": 0},
        "FeedForward": {"steps": 512.0, "fine": 0},
    }
    return {"epsilon": 1e-12} | own[kind] | others


def model_of(
    path: Path,
    kinds: Sequence[str],
    *,
    constants: Sequence[Constants] | None = None,
    with_bodies: bool = True,
    **changed: Any,
) -> Path:
    """Write a graph of some operators, one after the other.

    Args:
        path: of the file to write.
        kinds: of the operators.
        constants: of each; None for random ones.
        with_bodies: whether what they mean is in the graph.
        changed: attributes of all operators that have them.
    """
    every = constants or [random_constants(kind, seed) for seed, kind in enumerate(kinds)]
    nodes, initializers, rows = [], [], "given"
    distance = False
    for place, (kind, values) in enumerate(zip(kinds, every, strict=True)):
        names = {name: f"{place}.{name}" for name in values}
        initializers += [numpy_helper.from_array(values[name], names[name]) for name in values]
        own = attributes(kind)
        own |= {name: value for name, value in changed.items() if name in own}
        distance = distance or "distance" in values
        out = "out" if place + 1 == len(kinds) else f"{place}.out"
        nodes.append(helper.make_node(kind, [rows, *names.values()], [out], domain=DOMAIN, **own))
        rows = out
    ids = kinds[0] == "Embeddings"
    given = (
        helper.make_tensor_value_info("given", TensorProto.INT64, ["B", "T"])
        if ids
        else helper.make_tensor_value_info("given", TensorProto.FLOAT, ["B", "T", "H"])
    )
    found = helper.make_tensor_value_info("out", TensorProto.FLOAT, ["B", "T", "H"])
    model = helper.make_model(
        helper.make_graph(nodes, "small", [given], [found], initializers),
        functions=functions(distance=distance, padding=changed.get("padding", -1) >= 0)
        if with_bodies
        else [],
        opset_imports=[helper.make_opsetid(*opset) for opset in OPSETS.items()],
        ir_version=8,
    )
    onnx.save_model(model, path)
    return path


def session_of(model: Path, library: Path | None, threads: int = 1) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    if library is not None:
        options.register_custom_ops_library(str(library))
    return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])


def run(model: Path, library: Path | None, given: Given, threads: int = 1) -> FloatArray:
    found: FloatArray = session_of(model, library, threads).run(None, {"given": given})[0]
    return found


def refusal(model: Path, library: Path, given: Given | None = None) -> str:
    """What the operators, or onnxruntime before them, say of a graph or input that they refuse."""
    words = "minilm|is invalid|No attribute"
    with pytest.raises(Exception, match=words) as raised:  # onnxruntime's share no public base
        run(model, library, ids_of(1, 3) if given is None else given)
    return str(raised.value)


def ids_of(texts: int, tokens: int) -> Given:
    return np.random.default_rng(tokens).integers(0, WORDS, (texts, tokens))


def rows_of(texts: int, tokens: int) -> FloatArray:
    found = np.random.default_rng(tokens).standard_normal((texts, tokens, HIDDEN))
    return found.astype(np.float32)
