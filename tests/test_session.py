import os
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from minilm_onnx import ArtifactError, SessionError
from minilm_onnx.artifact import BUNDLED, GRAPH
from minilm_onnx.cpus import available_cpus
from minilm_onnx.policy import choose_policy
from minilm_onnx.session import Session


def bundled(threads: int) -> Session:
    return Session(BUNDLED / GRAPH, choose_policy(threads=threads))


@pytest.fixture(scope="module")
def session() -> Session:
    return bundled(1)


def test_session_runs_a_batch_from_a_file(session: Session) -> None:
    hidden = session.run(np.array([[101, 4937, 102], [101, 3899, 102]], dtype=np.int64))
    assert hidden.shape == (2, 3, 384)
    assert hidden.dtype == np.float32


def test_session_asks_for_ids_alone_with_the_lean_graph(session: Session) -> None:
    assert list(session.inputs) == ["input_ids"]


def test_session_names_the_version_when_a_graph_does_not_load(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"not a graph")
    with pytest.raises(SessionError, match=f"onnxruntime {onnxruntime.__version__}") as caught:
        Session(tmp_path / "model.onnx", choose_policy())
    assert caught.value.__cause__ is not None


def test_session_reports_a_failing_run_with_its_shape(session: Session) -> None:
    with pytest.raises(SessionError, match=r"failed on ids of shape \(1, 600\)"):
        session.run(np.full((1, 600), 101, dtype=np.int64))


def test_policy_defaults_to_the_cpus_this_process_may_use() -> None:
    if not hasattr(os, "sched_getaffinity"):
        pytest.skip("this system has no CPU affinity")
    assert available_cpus() <= len(os.sched_getaffinity(0))
    assert choose_policy().threads == available_cpus()


def test_session_runs_several_batches_in_order_with_the_same_bits(session: Session) -> None:
    random = np.random.default_rng(0)
    batches = [random.integers(1000, 20000, (2, length)) for length in range(3, 30)]
    alone = [session.run(ids) for ids in batches]
    for threads in (1, 2, 3):
        found = bundled(threads).run_each(batches, lambda h: h)
        assert all(np.array_equal(a, b) for a, b in zip(alone, found, strict=True))


def test_session_stops_at_the_first_batch_that_fails() -> None:
    good = np.full((1, 5), 101, dtype=np.int64)
    bad = np.full((1, 600), 101, dtype=np.int64)
    with pytest.raises(SessionError, match=r"ids of shape \(1, 600\)"):
        list(bundled(2).run_each([good, bad, *[good] * 50], lambda h: h))


def test_session_refuses_unknown_inputs_and_outputs(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    helper, types = onnx.helper, onnx.TensorProto

    def save(inputs: str, outputs: str) -> Path:
        graph = helper.make_graph(
            [helper.make_node("Cast", [inputs], [outputs], to=types.FLOAT)],
            "g",
            [helper.make_tensor_value_info(inputs, types.INT64, ["B", "T"])],
            [helper.make_tensor_value_info(outputs, types.FLOAT, ["B", "T"])],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        path = tmp_path / "model.onnx"
        onnx.save(model, path)
        return path

    with pytest.raises(ArtifactError, match=r"graph inputs: expected input_ids .* got pixels"):
        Session(save("pixels", "last_hidden_state"), choose_policy())
    with pytest.raises(ArtifactError, match=r"graph outputs: expected last_hidden_state .* logits"):
        Session(save("input_ids", "logits"), choose_policy())
