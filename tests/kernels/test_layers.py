"""The bundled model, layer by layer: kernels and bodies against the forward pass in plain numpy.

Each is given what the graph gave to it: a code that is rounded the other way moves all behind
it, so that the last layers of two right implementations differ as much as int8 from fp32.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

for name in ("onnx", "scipy"):
    pytest.importorskip(name, reason=f"{name} of export/requirements.txt is not installed")

import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from minilm_onnx.arrays import FloatArray
from minilm_onnx.folder.finding import BUNDLED
from minilm_onnx.folder.layout import GRAPH
from tests.conftest import Golden
from tests.encoder import forward
from tests.kernels.arithmetic import apart, feed_forward, self_attention, unpacked
from tests.support.native import INPUTS, session_of

# How far a token's row may be, as a share of its length, in the mean and at most. From the forward
# pass: the rounding of activations in one layer, which is all that it does not have. From the
# arithmetic in float64: the few codes whose float32 values are rounded the other way, and the
# kernels' own 2^x and GELU, which are nearer than a step but not exact.
EXACT_MEAN = {"kernels": 0.0025, "bodies": 0.0005}
EXACT_MOST = 0.02
MEAN, MOST = 0.017, 0.035


def constants(model: onnx.ModelProto) -> list[dict[str, FloatArray]]:
    """What each operator is given behind the first input, by the inputs' names; maps unpacked."""
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    found = []
    for node in model.graph.node:
        names = zip(INPUTS[node.op_type], node.input[1:], strict=True)
        found.append(unpacked({name: tensors[place] for name, place in names}))
    return found


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    return {one.name: helper.get_attribute_value(one) for one in node.attribute}


def scales(model: onnx.ModelProto) -> list[FloatArray]:
    """What each operator's input, and the last one's output, was divided by."""
    given = constants(model)[1:]
    return [one["residual"] for one in given] + [np.ones_like(given[0]["residual"])]


def weights_of(model: onnx.ModelProto) -> dict[str, FloatArray]:
    """The graph's weights as float32, by the checkpoint's names.

    Hidden states are divided by scales in the graph, and are not here.
    """
    first, *layers = constants(model)
    around = scales(model)
    found: dict[str, FloatArray] = {
        "embeddings.word_embeddings.weight": first["words"] * first["scale"][:, None],
        "embeddings.position_embeddings.weight": first["places"],
        "embeddings.token_type_embeddings.weight": np.zeros_like(first["places"][:2]),
    }

    def norm(name: str, given: Mapping[str, FloatArray], scale: FloatArray) -> None:
        found[f"{name}.LayerNorm.weight"] = given["gain"] * scale
        found[f"{name}.LayerNorm.bias"] = given["shift"] * scale

    def dense(name: str, weight: FloatArray, bias: FloatArray) -> None:
        found[f"{name}.weight"], found[f"{name}.bias"] = weight.T, bias

    norm("embeddings", first, around[0])
    for place, given in enumerate(layers):
        at = f"encoder.layer.{place // 2}"
        before, behind = around[place][:, None], around[place + 1]
        if "project_weight" in given:
            width = len(before)
            weight = (given["project_weight"] / before).reshape(width, forward.HEADS, 3, -1)
            bias = given["project_bias"].reshape(forward.HEADS, 3, -1)
            for number, part in enumerate(("query", "key", "value")):
                own = weight[:, :, number].reshape(width, width)
                dense(f"{at}.attention.self.{part}", own, bias[:, number].ravel())
            dense(f"{at}.attention.output.dense", given["output_weight"], given["output_bias"])
            norm(f"{at}.attention.output", given, behind)
        else:
            dense(f"{at}.intermediate.dense", given["up_weight"] / before, given["up_bias"])
            dense(f"{at}.output.dense", given["down_weight"], given["down_bias"])
            norm(f"{at}.output", given, behind)
    return found


@pytest.fixture(scope="module")
def model() -> onnx.ModelProto:
    return onnx.load(BUNDLED / GRAPH)


@pytest.fixture(scope="module", params=["kernels", "bodies"])
def session(
    request: pytest.FixtureRequest,
    model: onnx.ModelProto,
    tmp_path_factory: pytest.TempPathFactory,
) -> onnxruntime.InferenceSession:
    """The graph, which also gives what is between its operators."""
    whole = onnx.ModelProto()
    whole.CopyFrom(model)
    names = [node.output[0] for node in whole.graph.node[:-1]]
    whole.graph.output.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names
    )
    path = tmp_path_factory.mktemp("layers") / "whole.onnx"
    onnx.save_model(whole, path)
    library = request.getfixturevalue("library") if request.param == "kernels" else None
    return session_of(path, library)


def states(
    session: onnxruntime.InferenceSession, model: onnx.ModelProto, ids: Sequence[int]
) -> list[FloatArray]:
    """What each operator gives for a text, (1, T, H)."""
    names = [node.output[0] for node in model.graph.node]
    found = session.run(names, {"input_ids": np.array([ids], dtype=np.int64)})
    return list(found)


def of_each_kind(golden: Golden) -> list[list[int]]:
    """Token ids of the first text of each kind."""
    return [golden.ids[golden.kinds.index(kind)] for kind in sorted(set(golden.kinds))]


def test_every_layer_is_that_of_the_forward_pass(
    session: onnxruntime.InferenceSession, model: onnx.ModelProto, golden: Golden
) -> None:
    weights, around = weights_of(model), scales(model)
    differences: list[list[npt.NDArray[np.float64]]] = [[] for _ in range(forward.LAYERS)]
    for ids in of_each_kind(golden):
        found = [
            rows * scale for rows, scale in zip(states(session, model, ids), around, strict=True)
        ]
        expected = forward.embeddings(weights, np.array([ids]))
        assert apart(found[0], expected).max() < 1e-6
        for number, every in enumerate(differences):
            expected = forward.layer(weights, f"encoder.layer.{number}", found[2 * number])
            every.append(apart(found[2 * number + 2], expected))
    for number, every in enumerate(differences):
        rows = np.concatenate(every)
        assert rows.mean() < MEAN, number
        assert rows.max() < MOST, number


def test_every_operator_is_what_its_definition_says(
    session: onnxruntime.InferenceSession,
    model: onnx.ModelProto,
    golden: Golden,
    request: pytest.FixtureRequest,
) -> None:
    kind = request.node.callspec.params["session"]
    differences: list[list[npt.NDArray[np.float64]]] = [[] for _ in model.graph.node[1:]]
    given = constants(model)[1:]
    for ids in of_each_kind(golden):
        found = [rows[0].astype(np.float64) for rows in states(session, model, ids)]
        for place, every in enumerate(differences):
            own = attributes(model.graph.node[place + 1])
            if "project_weight" in given[place]:
                expected = self_attention(given[place], found[place], own["heads"], own["fine"])
            else:
                expected = feed_forward(given[place], found[place], int(own["steps"]), own["fine"])
            every.append(apart(found[place + 1], expected))
    for place, every in enumerate(differences):
        rows = np.concatenate(every)
        assert rows.mean() < EXACT_MEAN[kind], place
        assert rows.max() < EXACT_MOST, place
