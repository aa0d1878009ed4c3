"""The native operators refuse wrong wide channels and distances, and graphs of earlier versions."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

pytest.importorskip("onnx", reason="onnx, of which the tests make graphs, is not installed")

import onnx

from tests.support.native import (
    HEADS,
    HIDDEN,
    distances,
    model_of,
    random_constants,
    refusal,
    rows_of,
    run,
)

WIDTHS = {"SelfAttention": 3 * HIDDEN, "FeedForward": 160}
each_kind = pytest.mark.parametrize("kind", list(WIDTHS))


def said_of(folder: Path, library: Path, kind: str, **changed: npt.NDArray[Any]) -> str:
    """What is said of an operator that has other constants than it should."""
    constants = random_constants(kind) | changed
    path = folder / "a.onnx"
    model = model_of(path, [kind], constants=[constants], with_bodies=False)
    return refusal(model, library, rows_of(1, 3))


@each_kind
@pytest.mark.parametrize("channel", [HIDDEN, -1, 2**32, -(2**63), 2**63 - 1])
@pytest.mark.parametrize("place", [0, 3])
def test_channels_that_the_input_has_not_are_refused(
    tmp_path: Path, library: Path, kind: str, channel: int, place: int
) -> None:
    channels = np.array([1, 2, 3, 4])
    channels[place] = channel
    words = f"expected channels from 0 to {HIDDEN - 1}, none of them twice, got {channel}"
    said = said_of(tmp_path, library, kind, channels=channels)
    assert f"minilm.{kind}: input 10: {words}" in said


@each_kind
def test_a_channel_that_is_named_twice_is_refused(tmp_path: Path, library: Path, kind: str) -> None:
    said = said_of(tmp_path, library, kind, channels=np.array([7, 1, 2, 7]))
    assert "input 10: expected channels from 0 to 95, none of them twice, got 7" in said


@each_kind
def test_the_first_and_the_last_channel_are_taken(tmp_path: Path, library: Path, kind: str) -> None:
    constants = random_constants(kind) | {"channels": np.array([HIDDEN - 1, 0, 1, 2])}
    model = model_of(tmp_path / "a.onnx", [kind], constants=[constants], with_bodies=False)
    assert run(model, library, rows_of(1, 3)).shape == (1, 3, HIDDEN)


@each_kind
@pytest.mark.parametrize("shape", [(3,), (5,), (4, 1)])
def test_another_count_of_channels_is_refused(
    tmp_path: Path, library: Path, kind: str, shape: tuple[int, ...]
) -> None:
    channels = np.arange(np.prod(shape)).reshape(shape)
    said = said_of(tmp_path, library, kind, channels=channels)
    assert f"minilm.{kind}: input 10: expected int64 of 1 axes" in said


@each_kind
def test_weights_of_another_count_of_channels_or_outputs_are_refused(
    tmp_path: Path, library: Path, kind: str
) -> None:
    outputs = WIDTHS[kind]
    for shape in ((3, outputs), (5, outputs), (4, HIDDEN), (outputs, 4), (4 * outputs,)):
        said = said_of(tmp_path, library, kind, wide=np.zeros(shape, np.float32))
        assert f"minilm.{kind}: input 11: expected float32 of 2 axes" in said, shape


@each_kind
@pytest.mark.parametrize(
    ("name", "kept"), [("channels", np.int32), ("channels", np.float32), ("wide", np.float64)]
)
def test_another_type_is_refused(
    tmp_path: Path, library: Path, kind: str, name: str, kept: type[np.generic]
) -> None:
    """By onnxruntime itself, which is told each input's type."""
    value = random_constants(kind)[name].astype(kept)
    said = said_of(tmp_path, library, kind, **{name: value})
    assert f"of input parameter (0.{name}) of operator ({kind}) in node () is invalid" in said


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((HEADS, 10), "expected 2 * positions - 1 distances, got 10"),
        ((HEADS, 2 * 8192 + 1), "expected 2 * positions - 1 distances, got 16385"),
        ((HEADS + 1, 9), "expected float32 of 2 axes"),
        ((9,), "expected float32 of 2 axes"),
    ],
)
def test_distances_of_another_shape_are_refused(
    tmp_path: Path, library: Path, shape: tuple[int, ...], words: str
) -> None:
    said = said_of(tmp_path, library, "SelfAttention", distance=np.zeros(shape, np.float32))
    assert f"minilm.SelfAttention: input 12: {words}" in said


@each_kind
def test_an_operator_without_fine_is_refused(tmp_path: Path, library: Path, kind: str) -> None:
    path = model_of(tmp_path / "a.onnx", [kind], with_bodies=False)
    model = onnx.load(path)
    (node,) = model.graph.node
    node.attribute.remove(next(one for one in node.attribute if one.name == "fine"))
    path.write_bytes(model.SerializeToString())
    assert "No attribute with name:'fine'is defined." in refusal(path, library, rows_of(1, 3))


@pytest.mark.parametrize("distance", [False, True])
@each_kind
def test_an_operator_without_wide_channels_is_refused(
    tmp_path: Path, library: Path, kind: str, distance: bool
) -> None:
    """As earlier graphs have them, with distances as input 10."""
    constants = random_constants(kind)
    del constants["channels"], constants["wide"]
    if distance:
        constants["distance"] = distances()
    model = model_of(tmp_path / "a.onnx", [kind], constants=[constants], with_bodies=False)
    words = f"schema(minilm::{kind}:1) has input size {len(constants) + 1} not in range [min=12"
    assert words in refusal(model, library, rows_of(1, 3))
