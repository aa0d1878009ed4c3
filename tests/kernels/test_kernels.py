"""The native operators: every kernel gives the same bits, and the bodies the same numbers."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx", reason="onnx, of which the tests make graphs, is not installed")

from minilm_onnx.engine.native import kernels
from tests.support.native import (
    HIDDEN,
    WORDS,
    Given,
    distances,
    ids_of,
    model_of,
    random_constants,
    rows_of,
    run,
    session_of,
)

WHOLE = ("Embeddings", "SelfAttention", "FeedForward", "SelfAttention", "FeedForward")
# Tokens of a text: one, an odd number and one more, a vector, beyond where shares lose a bit.
SHAPES = ((1, 1), (3, 7), (3, 8), (2, 16), (5, 33), (1, 300))
# Tokens of the longest texts whose codes have two bytes: of none, of short ones, of any.
FINE = (0, 7, 8192)
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
    """Whole small encoders: BERT's, MPNet's, each with codes of one byte, of both and of two."""
    folder, distance = tmp_path_factory.mktemp("models"), with_distances(WHOLE)
    plain = [model_of(folder / f"plain{fine}.onnx", WHOLE, fine=fine) for fine in FINE]
    return plain + [
        model_of(folder / f"distance{fine}.onnx", WHOLE, constants=distance, padding=1, fine=fine)
        for fine in FINE
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
        for texts, tokens in ((5, 33), (70, 9), (70, 7)):
            ids = ids_of(texts, tokens)
            together = run(model, library, ids, threads)
            for place in (0, texts // 2, texts - 1):
                alone = run(model, library, ids[place : place + 1])
                assert np.array_equal(alone[0], together[place])


@pytest.mark.parametrize("distance", [False, True])
@pytest.mark.parametrize("kind", ["Embeddings", "SelfAttention", "FeedForward"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("fine", FINE)
def test_the_body_gives_the_numbers_of_the_kernel(
    tmp_path: Path, library: Path, kind: str, fine: int, shape: tuple[int, int], distance: bool
) -> None:
    """Each alone, since a difference grows from operator to operator: codes flip."""
    constants = with_distances([kind]) if distance else None
    padding = 1 if distance else -1
    path = tmp_path / "one.onnx"
    model = model_of(path, [kind], constants=constants, padding=padding, fine=fine)
    given = ids_of(*shape) if kind == "Embeddings" else rows_of(*shape)
    native, body = run(model, library, given), run(model, None, given)
    if kind == "Embeddings":
        assert np.abs(native - body).max() < 1e-5
        return
    cosines = (native * body).sum(-1) / np.linalg.norm(native, axis=-1)
    cosines /= np.linalg.norm(body, axis=-1)
    least, mean = (0.9999, 0.99999) if shape[1] > fine else (0.99999, 0.999999)
    assert cosines.min() > least
    assert cosines.mean() > mean


def test_no_text_and_no_token_give_nothing(library: Path, models: list[Path]) -> None:
    for shape in ((0, 5), (3, 0)):
        found = run(models[0], library, np.zeros(shape, dtype=np.int64))
        assert found.shape == (*shape, HIDDEN)


def test_the_same_session_serves_any_shape(library: Path, models: list[Path]) -> None:
    for model in models:
        one = session_of(model, library)
        first = {shape: one.run(None, {"given": ids_of(*shape)})[0] for shape in SHAPES}
        for shape in reversed(SHAPES):
            again = one.run(None, {"given": ids_of(*shape)})[0]
            assert again.tobytes() == first[shape].tobytes()
