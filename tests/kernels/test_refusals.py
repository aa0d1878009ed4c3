"""The native operators refuse what they cannot take, in words, and lack of memory too."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx", reason="onnx, of which the tests make graphs, is not installed")

import onnx

from tests.support.native import (
    HIDDEN,
    POSITIONS,
    WORDS,
    Given,
    ids_of,
    model_of,
    random_constants,
    refusal,
    rows_of,
)

BOTH = "inputs and outputs in multiples of 32"
# Runs attention whose result fits the memory that is left, and whose working memory does not.
SHORT_OF_MEMORY = """
import resource, sys
import numpy as np
from minilm_onnx.engine.silent import onnxruntime, remedy
library, model, width, threads = sys.argv[1:]
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = int(threads)
options.log_severity_level = 4
options.register_custom_ops_library(library)
session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
rows = np.zeros((2**14, 16, int(width)), np.float32)
session.run(None, {"given": rows[:3]})
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + rows.nbytes * 3 // 2, -1))
try:
    session.run(None, {"given": rows})
except Exception as error:
    print(error, remedy(error, "report it"))
resource.setrlimit(resource.RLIMIT_AS, (-1, -1))
print(session.run(None, {"given": rows[:3]})[0].shape)
"""

# Makes and ends sessions of a graph, each with a run that is refused or a graph that is; prints by
# how many KiB the process has grown since the first fifty.
AGAIN = """
import resource, sys
import numpy as np
from minilm_onnx.engine.silent import onnxruntime
library, model = sys.argv[1:]
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
options.log_severity_level = 4
options.register_custom_ops_library(library)
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize() // 1024
for count in range(250):
    if count == 50: before = resident()
    try:
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        session.run(None, {"given": np.full((2, 20), 1)})
        session.run(None, {"given": np.full((1, 3), -1)})
        sys.exit("taken")
    except Exception as error:
        said, session = str(error), None
print(said.split(", ")[-1].strip(), resident() - before, sep=":")
"""


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (np.array([[WORDS]]), f"expected ids from 0 to {WORDS - 1}, got {WORDS}"),
        (np.array([[3, -1]]), "got -1"),
        (np.array([[2**62]]), "got 4611686018427387904"),
        (np.zeros((1, POSITIONS + 1), np.int64), f"at most {POSITIONS} tokens a text"),
        (np.zeros((0, 2**50), np.int64), f"at most {POSITIONS} tokens a text, got {2**50}"),
        # 128 MiB of zeros that nobody touches.
        (np.zeros((2**24 + 1, 1), np.int64), "at most 16777216 tokens in all, got 16777217 texts"),
    ],
)
def test_ids_are_checked(tmp_path: Path, library: Path, given: Given, words: str) -> None:
    model = model_of(tmp_path / "a.onnx", ["Embeddings"], with_bodies=False)
    assert words in refusal(model, library, given)


def halved(array: Given) -> Given:
    return np.ascontiguousarray(array[: len(array) // 2])


@pytest.mark.parametrize("kind", ["Embeddings", "SelfAttention", "FeedForward"])
def test_every_constant_of_another_shape_or_type_is_refused(
    tmp_path: Path, library: Path, kind: str
) -> None:
    right = random_constants(kind)
    given = ids_of(1, 3) if kind == "Embeddings" else rows_of(1, 3)
    for name, value in right.items():
        if name == "places":
            continue  # fewer of them are fewer tokens
        wrong = right | {name: halved(value)}
        model = model_of(tmp_path / "a.onnx", [kind], constants=[wrong], with_bodies=False)
        assert "expected" in refusal(model, library, given), name
        flat = right | {name: value.ravel()[None]}
        model = model_of(tmp_path / "b.onnx", [kind], constants=[flat], with_bodies=False)
        assert "expected" in refusal(model, library, given), name


@pytest.mark.parametrize(
    ("kind", "changed", "words"),
    [
        ("SelfAttention", {"heads": 0}, "heads: expected"),
        ("SelfAttention", {"heads": 5}, "heads: expected"),
        ("SelfAttention", {"heads": 12}, "heads: expected"),
        ("SelfAttention", {"heads": -3}, "heads: expected"),
        ("SelfAttention", {"epsilon": -1.0}, "epsilon: expected"),
        ("SelfAttention", {"fine": -1}, "fine: expected 0 to 8192 tokens, got -1"),
        ("SelfAttention", {"fine": 2**32 + 6}, f"fine: expected 0 to 8192 tokens, got {2**32 + 6}"),
        ("FeedForward", {"fine": 8193}, "fine: expected 0 to 8192 tokens, got 8193"),
        ("FeedForward", {"fine": -(2**63)}, f"fine: expected 0 to 8192 tokens, got {-(2**63)}"),
        ("FeedForward", {"steps": 500.0}, "steps: expected"),
        ("FeedForward", {"steps": float("nan")}, "steps: expected"),
        ("FeedForward", {"epsilon": float("nan")}, "epsilon: expected"),
        ("Embeddings", {"padding": WORDS}, "padding: expected"),
        ("Embeddings", {"padding": -2}, "padding: expected"),
    ],
)
def test_attributes_are_checked(
    tmp_path: Path, library: Path, kind: str, changed: dict[str, Any], words: str
) -> None:
    model = model_of(tmp_path / "a.onnx", [kind], with_bodies=False, **changed)
    given = ids_of(1, 3) if kind == "Embeddings" else rows_of(1, 3)
    assert words in refusal(model, library, given)


def test_widths_that_are_no_multiples_are_refused(tmp_path: Path, library: Path) -> None:
    constants = random_constants("FeedForward", hidden=48)
    model = model_of(tmp_path / "a.onnx", ["FeedForward"], constants=[constants], with_bodies=False)
    given = np.zeros((1, 2, 48), np.float32)
    assert "multiples of 32" in refusal(model, library, given)


@pytest.mark.parametrize(
    ("kind", "name", "shape", "words"),
    [
        ("FeedForward", "up_weight", (2, 4104, 16, 4), f"{BOTH}, up to 16384, got 16416 and 32"),
        ("FeedForward", "up_weight", (1026, 8, 16, 4), f"{BOTH}, up to 16384, got 32 and 16416"),
        ("Embeddings", "words", (WORDS, 16416), "a width in multiples of 32, up to 16384, got"),
    ],
)
def test_widths_above_the_limit_are_refused(
    tmp_path: Path, library: Path, kind: str, name: str, shape: tuple[int, ...], words: str
) -> None:
    constants = random_constants(kind) | {name: np.zeros(shape, np.int8)}
    if kind == "Embeddings":
        constants["places"] = np.zeros((2, shape[-1]), np.float32)
    model = model_of(tmp_path / "a.onnx", [kind], constants=[constants], with_bodies=False)
    given = ids_of(1, 2) if kind == "Embeddings" else rows_of(1, 2)
    assert f"input 1: expected {words}" in refusal(model, library, given)


@pytest.mark.parametrize(
    ("kind", "name", "shape"),
    [
        ("FeedForward", "up_weight", (2**60, 0, 16, 4)),
        ("FeedForward", "up_weight", (0, 2**60, 16, 4)),
        ("Embeddings", "words", (2**60, 0)),
    ],
)
def test_sizes_that_no_memory_holds_are_refused(
    tmp_path: Path, library: Path, kind: str, name: str, shape: tuple[int, ...]
) -> None:
    """onnxruntime takes them beside a size of 0; others, whose product wraps, it refuses itself."""
    empty = {name: np.zeros([0] * len(shape), np.int8)}
    path = model_of(
        tmp_path / "a.onnx", [kind], constants=[random_constants(kind) | empty], with_bodies=False
    )
    model = onnx.load(path)
    (tensor,) = (one for one in model.graph.initializer if one.name.endswith(name))
    tensor.dims[:] = shape
    path.write_bytes(model.SerializeToString())
    given = ids_of(1, 2) if kind == "Embeddings" else rows_of(1, 2)
    words = f"input 1: expected int8 of {len(shape)} axes that fit the others"
    assert words in refusal(path, library, given)


def test_a_text_that_is_too_long_for_the_sums_is_refused(tmp_path: Path, library: Path) -> None:
    model = model_of(tmp_path / "a.onnx", ["SelfAttention"], with_bodies=False)
    given = np.zeros((1, 8193, HIDDEN), np.float32)
    assert "at most 8192 tokens a text, got 8193" in refusal(model, library, given)


def test_hidden_states_of_another_width_are_refused(tmp_path: Path, library: Path) -> None:
    model = model_of(tmp_path / "a.onnx", ["FeedForward"])
    assert "expected 96 components, got 64" in refusal(
        model, library, np.zeros((1, 2, 64), np.float32)
    )


@pytest.mark.parametrize("name", ["up_weight", "down_weight"])
def test_weights_of_minus_128_are_refused(tmp_path: Path, library: Path, name: str) -> None:
    """NEON without dot products adds two products in 16 bits, which 2 * 128 * 128 would not fit."""
    constants = random_constants("FeedForward")
    constants[name].flat[-1] = -128
    model = model_of(tmp_path / "a.onnx", ["FeedForward"], constants=[constants], with_bodies=False)
    assert "expected weights from -127 to 127, got -128" in refusal(model, library, rows_of(1, 2))


def test_floats_at_odd_addresses_are_refused(tmp_path: Path, library: Path) -> None:
    """onnxruntime maps a file of weights, where a tensor may begin anywhere."""
    path = model_of(tmp_path / "a.onnx", ["FeedForward"], with_bodies=False)
    model, data = onnx.load(path), b"x"
    for tensor in model.graph.initializer:
        entries = {"location": "a.data", "offset": len(data), "length": len(tensor.raw_data)}
        data += tensor.raw_data
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        for key, value in entries.items():
            tensor.external_data.add(key=key, value=str(value))
    (tmp_path / "a.data").write_bytes(data)
    path.write_bytes(model.SerializeToString())
    words = "expected values that begin at a multiple of their 4 bytes"
    assert words in refusal(path, library, rows_of(1, 2))


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux how much memory is in use")
@pytest.mark.parametrize("threads", ["1", "2"])
def test_a_lack_of_memory_is_an_error_that_says_so(
    tmp_path: Path, library: Path, threads: str
) -> None:
    model = model_of(tmp_path / "a.onnx", ["SelfAttention"], with_bodies=False)
    done = subprocess.run(
        [sys.executable, "-c", SHORT_OF_MEMORY, library, model, str(HIDDEN), threads],
        capture_output=True,
        text=True,
        check=True,
    )
    said, afterwards = done.stdout.splitlines()
    words = "minilm.SelfAttention: expected memory for a run, got none free some memory"
    assert said.endswith(words)
    assert afterwards == f"(3, 16, {HIDDEN})"


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux how much memory is in use")
@pytest.mark.parametrize("is_right", [True, False])
def test_sessions_leave_no_memory_behind(tmp_path: Path, library: Path, is_right: bool) -> None:
    """An operator keeps 12 KB here; the 2 KB of its wide channels alone would be 0.4 MB."""
    kinds = ["Embeddings", "FeedForward"]
    constants = [random_constants(kind, hidden=512, wide=2048) for kind in kinds]
    if not is_right:
        constants[1]["down_weight"].flat[-1] = -128
    model = model_of(tmp_path / "a.onnx", kinds, constants=constants, with_bodies=False)
    # With these, glibc gives back at once what is freed: what has grown is what was lost.
    thrifty = {"MALLOC_MMAP_THRESHOLD_": "1024", "MALLOC_TRIM_THRESHOLD_": "0"}
    done = subprocess.run(
        [sys.executable, "-c", AGAIN, library, model],
        env=os.environ | thrifty,
        capture_output=True,
        text=True,
        check=True,
    )
    words, grown = done.stdout.split(":")
    assert words == ("got -1" if is_right else "got -128")
    assert int(grown) < 200
