"""What operators a graph consists of, read without the onnx package."""

from pathlib import Path
from typing import Any

import pytest

from minilm_onnx import ArtifactError
from minilm_onnx.folder import operators
from minilm_onnx.folder.operators import consists_of

DOMAIN, KINDS = "minilm", ("Embeddings", "SelfAttention", "FeedForward")


def written(path: Path, *nodes: tuple[str, str], weights: int = 0) -> Path:
    """A graph of some operators, each a domain and a kind, and of that many bytes of weights."""
    onnx: Any = pytest.importorskip("onnx", reason="onnx is not installed")
    made = [onnx.helper.make_node(kind, ["a"], ["b"], domain=domain) for domain, kind in nodes]
    constant = onnx.helper.make_tensor("w", onnx.TensorProto.UINT8, [weights], bytes(weights), True)
    graph = onnx.helper.make_graph(made, "g", [], [], [constant])
    path.write_bytes(onnx.helper.make_model(graph).SerializeToString())
    return path


@pytest.mark.parametrize("kinds", [KINDS, KINDS[:1], KINDS * 50])
def test_a_graph_of_known_operators_is_recognised(tmp_path: Path, kinds: tuple[str, ...]) -> None:
    graph = written(tmp_path / "a.onnx", *((DOMAIN, kind) for kind in kinds), weights=300)
    assert consists_of(graph, DOMAIN, KINDS)


@pytest.mark.parametrize(
    "foreign",
    [("", "MatMul"), ("com.microsoft", "Embeddings"), ("", "Embeddings"), (DOMAIN, "Other")],
)
@pytest.mark.parametrize("place", [0, 3])
def test_one_other_operator_is_enough(tmp_path: Path, foreign: Any, place: int) -> None:
    nodes = [(DOMAIN, kind) for kind in KINDS]
    nodes.insert(place, foreign)
    assert not consists_of(written(tmp_path / "a.onnx", *nodes), DOMAIN, KINDS)


def test_a_graph_without_nodes_consists_of_nothing(tmp_path: Path) -> None:
    assert not consists_of(written(tmp_path / "a.onnx"), DOMAIN, KINDS)


def test_what_is_no_graph_is_left_to_onnxruntime(tmp_path: Path) -> None:
    whole = written(tmp_path / "a.onnx", *((DOMAIN, kind) for kind in KINDS)).read_bytes()
    damaged = tmp_path / "b.onnx"
    texts = (b"", b"\0", b"\xff" * 50, b"a graph", bytes(100), b"\x3a\x7f" + whole)
    for data in (*texts, *(whole[:length] for length in range(len(whole) - 20))):
        damaged.write_bytes(data)
        assert not consists_of(damaged, DOMAIN, KINDS)


def test_a_file_of_nothing_but_small_fields_is_not_read_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What lies behind as many fields as an encoder has is not looked at."""
    whole = written(tmp_path / "a.onnx", *((DOMAIN, kind) for kind in KINDS)).read_bytes()
    monkeypatch.setattr(operators, "MOST_FIELDS", 100)
    assert consists_of(tmp_path / "a.onnx", DOMAIN, KINDS)
    (tmp_path / "b.onnx").write_bytes(b"\x08\x01" * 100 + whole)
    assert not consists_of(tmp_path / "b.onnx", DOMAIN, KINDS)


def test_a_graph_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"a\.onnx: expected a readable file"):
        consists_of(tmp_path / "a.onnx", DOMAIN, KINDS)
    with pytest.raises(ArtifactError, match="expected a regular file"):
        consists_of(tmp_path, DOMAIN, KINDS)
