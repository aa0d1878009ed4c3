"""Codes of one byte and of two, and wide channels: what they mean, and what they are for."""

from pathlib import Path

import numpy as np
import pytest

for name in ("onnx", "scipy"):
    pytest.importorskip(name, reason=f"{name} of export/requirements.txt is not installed")

from minilm_onnx.arrays import FloatArray
from minilm_onnx.making.operators import pack
from tests.kernels.arithmetic import (
    apart,
    exact_attention,
    exact_feed_forward,
    feed_forward,
    self_attention,
    unpacked,
)
from tests.support.native import (
    HEADS,
    Constants,
    model_of,
    random_constants,
    rows_of,
    run,
    session_of,
    unpack,
)

KINDS = ("SelfAttention", "FeedForward")
STEPS = 512
# Texts of at most so many tokens have codes of two bytes here, and where that is every text.
FEW, EVERY = 7, 8192
# How far a token's row may be from the definition in float64, as a share of its length, in the mean
# and at most: few codes are rounded the other way, and the kernels' 2^x and GELU are not exact.
MEAN, MOST = 0.0004, 0.005


@pytest.fixture(params=["kernels", "bodies"])
def native(request: pytest.FixtureRequest) -> Path | None:
    """The library, and none."""
    found: Path | None = request.getfixturevalue("library") if request.param == "kernels" else None
    return found


def defined(kind: str, given: Constants, rows: FloatArray, fine: int, steps: int) -> FloatArray:
    """What docs/operators.md says of texts of a batch, (B, T, H)."""
    own, texts = unpacked(given), rows.astype(np.float64)
    if kind == "SelfAttention":
        return np.stack([self_attention(own, text, HEADS, fine) for text in texts])
    return np.stack([feed_forward(own, text, steps, fine) for text in texts])


def error(kind: str, given: Constants, rows: FloatArray, found: FloatArray) -> float:
    """How far rows are, in the mean, from what would come if nothing were rounded to codes."""
    own, texts = unpacked(given), rows.astype(np.float64)
    if kind == "SelfAttention":
        exact = np.stack([exact_attention(own, text, HEADS) for text in texts])
    else:
        exact = np.stack([exact_feed_forward(own, text) for text in texts])
    return float(apart(found, exact).mean())


@pytest.mark.parametrize("fine", [0, FEW, EVERY])
@pytest.mark.parametrize("kind", KINDS)
def test_an_operator_is_what_its_definition_says(
    tmp_path: Path, native: Path | None, kind: str, fine: int
) -> None:
    given = random_constants(kind)
    model = model_of(tmp_path / "one.onnx", [kind], constants=[given], fine=fine)
    for shape in ((1, 1), (3, FEW), (3, FEW + 1), (5, 33)):
        rows = rows_of(*shape)
        differences = apart(run(model, native, rows), defined(kind, given, rows, fine, STEPS))
        assert differences.mean() < MEAN, shape
        assert differences.max() < MOST, shape


@pytest.mark.parametrize("fine", [0, EVERY])
def test_activations_beyond_their_codes_count_as_the_largest(
    tmp_path: Path, native: Path | None, fine: int
) -> None:
    """In 4,096 steps an int16 ends at 7.99976, and two bytes at 7.96851."""
    given = random_constants("FeedForward")
    given["up_bias"][::5] += 20
    path = tmp_path / "one.onnx"
    model = model_of(path, ["FeedForward"], constants=[given], fine=fine, steps=4096.0)
    rows = rows_of(3, FEW)
    differences = apart(run(model, native, rows), defined("FeedForward", given, rows, fine, 4096))
    assert differences.mean() < MEAN
    assert differences.max() < MOST


@pytest.mark.parametrize("kind", KINDS)
def test_only_texts_of_few_tokens_have_codes_of_two_bytes(
    tmp_path: Path, native: Path | None, kind: str
) -> None:
    """Whatever the same session was given before."""
    one, mixed, two = (
        session_of(model_of(tmp_path / f"{fine}.onnx", [kind], fine=fine), native)
        for fine in (0, FEW, EVERY)
    )
    few, more = {"given": rows_of(3, FEW)}, {"given": rows_of(3, FEW + 1)}
    for given, same, other in ((few, two, one), (more, one, two)) * 2:
        found = mixed.run(None, given)[0]
        assert np.array_equal(found, same.run(None, given)[0])
        assert not np.array_equal(found, other.run(None, given)[0])


@pytest.mark.parametrize("kind", KINDS)
def test_codes_of_two_bytes_are_nearer_to_the_exact_result(
    tmp_path: Path, native: Path | None, kind: str
) -> None:
    """Ten times where a text is one token; of more, queries and keys have one byte all the same."""
    given = random_constants(kind)
    one, two = (
        model_of(tmp_path / f"{fine}.onnx", [kind], constants=[given], fine=fine)
        for fine in (0, EVERY)
    )
    for shape, times in (((20, 1), 10.0), ((3, FEW), 1.4 if kind == "SelfAttention" else 10.0)):
        rows = rows_of(*shape)
        one_byte = error(kind, given, rows, run(one, native, rows))
        assert error(kind, given, rows, run(two, native, rows)) * times < one_byte, shape


@pytest.mark.parametrize(("fine", "nearer"), [(0, 10), (EVERY, 3)])
@pytest.mark.parametrize("kind", KINDS)
def test_a_huge_channel_that_is_wide_leaves_the_others_their_codes(
    tmp_path: Path, native: Path | None, kind: str, fine: int, nearer: int
) -> None:
    """The same map, of rows of which one channel is large and its weights are small."""
    channel, times = 5, 100
    rows, given = rows_of(20, 1), random_constants(kind)
    rows[:, :, channel] *= times
    given["residual"][channel] /= times
    name = "project" if kind == "SelfAttention" else "up"
    codes = unpack(given[f"{name}_weight"])
    codes[channel] = np.sign(codes[channel])
    given[f"{name}_weight"] = pack(codes)
    exact = (codes * given[f"{name}_scale"]).astype(np.float32)
    errors = []
    for channels in ([0, 1, 2, 3], [0, 1, 2, channel]):
        own = given | {"channels": np.array(channels), "wide": exact[channels]}
        model = model_of(tmp_path / "one.onnx", [kind], constants=[own], fine=fine)
        errors.append(error(kind, own, rows, run(model, native, rows)))
    assert errors[1] * nearer < errors[0]
