"""The native operators: every kernel gives the same bits, and the bodies the same numbers."""

import json
import subprocess
import sys
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

pytest.importorskip("onnx", reason="onnx, of which the tests make graphs, is not installed")

import onnx
import onnxruntime

from minilm_onnx.arrays import FloatArray
from minilm_onnx.engine.native import kernels
from tests.support.native import HIDDEN, POSITIONS, WORDS, distances, model_of, random_constants

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
Given = npt.NDArray[Any]
WHOLE = ("Embeddings", "SelfAttention", "FeedForward", "SelfAttention", "FeedForward")
# Tokens of a text: one, an odd number, a whole vector of them, beyond where shares lose a bit.
SHAPES = ((1, 1), (3, 7), (2, 16), (5, 33), (1, 300))
# Runs each model on ids of each shape, and prints a sha256 of what comes.
HASHES = """
import json, sys
from hashlib import sha256
import numpy as np, onnxruntime
library, *models = sys.argv[1:]
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
options.register_custom_ops_library(library)
found = []
for model in models:
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    for texts, tokens in SHAPES:
        ids = np.random.default_rng(tokens).integers(0, WORDS, (texts, tokens))
        found.append(sha256(session.run(None, {"given": ids})[0].tobytes()).hexdigest())
print(json.dumps(found))
"""


def session(model: Path, library: Path | None, threads: int = 1) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    if library is not None:
        options.register_custom_ops_library(str(library))
    return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])


def run(model: Path, library: Path | None, given: Given, threads: int = 1) -> FloatArray:
    found: FloatArray = session(model, library, threads).run(None, {"given": given})[0]
    return found


def ids_of(texts: int, tokens: int) -> Given:
    return np.random.default_rng(tokens).integers(0, WORDS, (texts, tokens))


def rows_of(texts: int, tokens: int) -> FloatArray:
    found = np.random.default_rng(tokens).standard_normal((texts, tokens, HIDDEN))
    return found.astype(np.float32)


def with_distances(kinds: Sequence[str]) -> list[dict[str, Given]]:
    every = [random_constants(kind, seed) for seed, kind in enumerate(kinds)]
    return [
        one | {"distance": distances()} if kind == "SelfAttention" else one
        for kind, one in zip(kinds, every, strict=True)
    ]


def kernels_here(library: Path) -> dict[str, bool | None]:
    """The names of the kernels that this CPU has, best first, and whether each is right."""
    return {kernel.name: kernel.right for kernel in kernels(library) if kernel.runs}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Whole small encoders: BERT's, MPNet's."""
    folder = tmp_path_factory.mktemp("models")
    return [
        model_of(folder / "plain.onnx", WHOLE),
        model_of(folder / "distance.onnx", WHOLE, constants=with_distances(WHOLE), padding=1),
    ]


def hashes(library: Path, models: Sequence[Path], kernel: str) -> list[str]:
    code = HASHES.replace("SHAPES", repr(SHAPES)).replace("WORDS", repr(WORDS))
    done = subprocess.run(
        [sys.executable, "-c", code, str(library), *map(str, models)],
        env={"MINILM_ONNX_KERNEL": kernel, "ORT_DISABLE_TELEMETRY": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    found: list[str] = json.loads(done.stdout)
    return found


def test_every_kernel_gives_the_same_bits(library: Path, models: list[Path]) -> None:
    names = list(kernels_here(library))
    assert names[-1] == "plain"
    wanted = hashes(library, models, "plain")
    for name in names[:-1]:
        assert hashes(library, models, name) == wanted, name


def test_every_kernel_passes_its_own_test(library: Path) -> None:
    assert set(kernels_here(library).values()) == {True}


def test_the_kernel_for_avx_vnni_gives_the_same_bits(
    library: Path, models: list[Path], request: pytest.FixtureRequest
) -> None:
    """Laptops have these instructions without AVX-512; here they run in its encoding."""
    if "avx512vnni" not in kernels_here(library):
        pytest.skip("this CPU has no AVX-512 VNNI")
    as_evex: Path = request.getfixturevalue("library_as_evex")
    assert kernels_here(as_evex)["avxvnni"]
    assert hashes(as_evex, models, "avxvnni") == hashes(library, models, "plain")


def test_a_kernel_that_is_not_there_is_refused(library: Path, models: list[Path]) -> None:
    with pytest.raises(subprocess.CalledProcessError) as raised:
        hashes(library, models, "abacus")
    assert "expected a kernel that this CPU can run" in raised.value.stderr


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_a_text_has_the_same_bits_in_any_batch_and_on_any_threads(
    library: Path, models: list[Path], threads: int
) -> None:
    for model in models:
        for texts, tokens in ((5, 33), (70, 9)):
            ids = ids_of(texts, tokens)
            together = run(model, library, ids, threads)
            for place in (0, texts // 2, texts - 1):
                alone = run(model, library, ids[place : place + 1])
                assert np.array_equal(alone[0], together[place])


@pytest.mark.parametrize("distance", [False, True])
@pytest.mark.parametrize("kind", ["Embeddings", "SelfAttention", "FeedForward"])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_body_gives_the_numbers_of_the_kernel(
    tmp_path: Path, library: Path, kind: str, shape: tuple[int, int], distance: bool
) -> None:
    """Each alone, since a difference grows from operator to operator: codes flip."""
    constants = with_distances([kind]) if distance else None
    padding = 1 if distance else -1
    model = model_of(tmp_path / "one.onnx", [kind], constants=constants, padding=padding)
    given = ids_of(*shape) if kind == "Embeddings" else rows_of(*shape)
    native, body = run(model, library, given), run(model, None, given)
    if kind == "Embeddings":
        assert np.abs(native - body).max() < 1e-5
        return
    cosines = (native * body).sum(-1) / np.linalg.norm(native, axis=-1)
    cosines /= np.linalg.norm(body, axis=-1)
    assert cosines.min() > 0.9999
    assert cosines.mean() > 0.99999


def test_no_text_and_no_token_give_nothing(library: Path, models: list[Path]) -> None:
    for shape in ((0, 5), (3, 0)):
        found = run(models[0], library, np.zeros(shape, dtype=np.int64))
        assert found.shape == (*shape, HIDDEN)


def test_the_same_session_serves_any_shape(library: Path, models: list[Path]) -> None:
    one = session(models[0], library)
    first = one.run(None, {"given": ids_of(2, 16)})[0]
    for shape in SHAPES:
        one.run(None, {"given": ids_of(*shape)})
    assert sha256(one.run(None, {"given": ids_of(2, 16)})[0]).digest() == sha256(first).digest()


def refusal(model: Path, library: Path, given: Given | None = None) -> str:
    with pytest.raises(Exception, match="minilm") as raised:  # onnxruntime's share no public base
        run(model, library, ids_of(1, 3) if given is None else given)
    return str(raised.value)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (np.array([[WORDS]]), f"expected ids from 0 to {WORDS - 1}, got {WORDS}"),
        (np.array([[3, -1]]), "got -1"),
        (np.array([[2**62]]), "got 4611686018427387904"),
        (np.zeros((1, POSITIONS + 1), np.int64), f"at most {POSITIONS} tokens a text"),
    ],
)
def test_ids_are_checked(library: Path, models: list[Path], given: Given, words: str) -> None:
    assert words in refusal(models[0], library, given)


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
