import os
import platform
import threading
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from minilm_onnx import ArtifactError, InputError, SessionError
from minilm_onnx.arrays import FloatArray, IdArray
from minilm_onnx.engine import policy
from minilm_onnx.engine.cpus import affinity, available_cpus, staying_on
from minilm_onnx.engine.graph import EXTENDED, Interface
from minilm_onnx.engine.native import native_for
from minilm_onnx.engine.policy import choose_policy, multiplies_in_bf16
from minilm_onnx.engine.session import Session
from minilm_onnx.folder.finding import BUNDLED
from minilm_onnx.folder.layout import GRAPH


def bundled(threads: int) -> Session:
    return Session(BUNDLED / GRAPH, choose_policy(threads=threads), native_for(BUNDLED / GRAPH))


@pytest.fixture(scope="module")
def session() -> Session:
    return bundled(1)


def test_session_runs_a_batch_from_a_file(session: Session) -> None:
    hidden = session.run(np.array([[101, 4937, 102], [101, 3899, 102]], dtype=np.int64))
    assert hidden.shape == (2, 3, 384)
    assert hidden.dtype == np.float32


def test_session_asks_for_ids_alone_with_the_lean_graph(session: Session) -> None:
    assert list(session.interface.inputs) == ["input_ids"]


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
    batches = [list(random.integers(1000, 20000, (8, length))) for length in range(3, 60)]
    alone = [session.run(np.stack(texts)) for texts in batches]
    for threads in (1, 2, 3):
        found: dict[int, FloatArray] = {}
        bundled(threads).run_each(batches, found.__setitem__)
        assert sorted(found) == list(range(len(batches)))
        assert all(np.array_equal(hidden, found[place]) for place, hidden in enumerate(alone))


def test_session_reports_a_batch_that_fails_beside_others() -> None:
    good = [np.full(5, 101, dtype=np.int64)]
    bad = [np.full(600, 101, dtype=np.int64)]
    with pytest.raises(SessionError, match=r"ids of shape \(1, 600\)"):
        bundled(2).run_each([good, bad, *[good] * 50], lambda place, hidden: None)


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt])
def test_session_stops_every_thread_at_the_first_error(kind: type[BaseException]) -> None:
    batches = [[np.full(40, 101, dtype=np.int64)] for _ in range(200)]
    calls = []

    def take(place: int, hidden: FloatArray) -> None:
        calls.append(place)
        if len(calls) == 5:
            raise kind("enough")

    with pytest.raises(kind, match="enough"):
        bundled(2).run_each(batches, take)
    assert len(calls) < 20
    assert "minilm-onnx" not in [thread.name for thread in threading.enumerate()]


def test_session_does_what_the_policy_says(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[onnxruntime.SessionOptions, str]] = []
    real = onnxruntime.InferenceSession

    def spy(path: str, options: onnxruntime.SessionOptions, **rest: Any) -> Any:
        entry = "session.intra_op.allow_spinning"
        made.append((options, options.get_session_config_entry(entry)))
        return real(path, options, **rest)

    monkeypatch.setattr(onnxruntime, "InferenceSession", spy)
    for exact, spinning in ((True, False), (False, True)):
        Session(BUNDLED / GRAPH, choose_policy(threads=3, exact_products=exact, spinning=spinning))
        options, spins = made[-1]
        assert options.intra_op_num_threads == 3
        assert (options.graph_optimization_level == EXTENDED) == exact
        assert spins == str(int(spinning))


@pytest.fixture
def with_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have this CPU say that it multiplies in bf16, whatever it does."""
    monkeypatch.setattr(policy, "multiplies_in_bf16", lambda: True)


@pytest.mark.parametrize("bf16", [False, True])
def test_every_session_is_asked_for_bf16_or_none_is(
    with_bf16: None, monkeypatch: pytest.MonkeyPatch, bf16: bool
) -> None:
    monkeypatch.setattr("minilm_onnx.engine.session.SESSIONS_PAY", 0.0)
    asked: list[bool] = []
    real = onnxruntime.InferenceSession

    def spy(path: str, options: onnxruntime.SessionOptions, **rest: Any) -> Any:
        try:
            asked.append(options.get_session_config_entry(policy.BF16_ENTRY) == "1")
        except RuntimeError:  # nothing was said of it
            asked.append(False)
        return real(path, options, **rest)

    monkeypatch.setattr(onnxruntime, "InferenceSession", spy)
    chosen = choose_policy(threads=2, exact_products=False, bf16=bf16, precision="fp32")
    session = Session(BUNDLED / GRAPH, chosen)
    batches = [[np.full(9, 2000, dtype=np.int64)]] * 4
    session.run_each(batches, lambda place, hidden: None)
    assert asked == [bf16] * 3  # of all threads, and one for each


def test_bf16_is_refused_where_nothing_multiplies_in_it() -> None:
    if multiplies_in_bf16():
        pytest.skip("this CPU multiplies in bf16")
    version, machine = onnxruntime.__version__, platform.machine()
    words = rf"bf16: expected False, since onnxruntime {version} .* \({machine}, .*; leave it out"
    with pytest.raises(InputError, match=words):
        choose_policy(bf16=True, precision="fp32")


@pytest.mark.skipif(platform.machine() != "x86_64", reason="Arm CPUs may have bf16")
def test_x86_does_not_multiply_in_bf16() -> None:
    assert multiplies_in_bf16() is False


@pytest.mark.parametrize("precision", ["int8", "unknown"])
def test_bf16_is_refused_but_for_an_fp32_folder(with_bf16: None, precision: str) -> None:
    with pytest.raises(InputError, match=f"bf16: .* precision is {precision}, .* --precision fp32"):
        choose_policy(bf16=True, precision=precision)
    assert choose_policy(bf16=False, precision=precision).bf16 is False


@pytest.mark.parametrize("value", ["no", None, 1])
def test_bf16_is_true_or_false(with_bf16: None, value: Any) -> None:
    with pytest.raises(InputError, match="bf16: expected True or False, got"):
        choose_policy(bf16=value, precision="fp32")


@pytest.mark.skipif(not affinity(), reason="this system does not tell CPUs apart")
def test_threads_are_pinned_where_each_has_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy, "affinity", lambda: [2, 5, 7])
    assert choose_policy(threads=3).pinned == (2, 5, 7)
    assert choose_policy(threads=2).pinned == ()
    assert choose_policy(threads=4).pinned == ()
    assert choose_policy(threads=2, pinning=True).pinned == (2, 5)
    assert choose_policy(threads=3, pinning=False).pinned == ()
    with pytest.raises(InputError, match="pinning: expected at most 3 threads"):
        choose_policy(threads=4, pinning=True)


@pytest.mark.skipif(len(affinity()) < 2, reason="needs two CPUs that can be told apart")
def test_pinning_lasts_as_long_as_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    before = affinity()
    pinned = Session(BUNDLED / GRAPH, choose_policy(threads=2, pinning=True))
    free = Session(BUNDLED / GRAPH, choose_policy(threads=2, pinning=False))
    seen: list[list[int]] = []
    run = Interface.run

    def spy(interface: Interface, *arguments: Any) -> FloatArray:
        seen.append(affinity())
        return run(interface, *arguments)

    monkeypatch.setattr(Interface, "run", spy)

    ids = np.full((8, 64), 2000, dtype=np.int64)
    batches = [list(ids)] * 12
    for session in (pinned, free):
        for _ in range(2):
            session.run_each(batches, lambda place, hidden: None)
    count = len(seen) // 2
    assert np.array_equal(pinned.run(ids), free.run(ids))
    assert affinity() == before
    assert {tuple(cpus) for cpus in seen[:count]} == {(before[0],), (before[1],)}
    assert {tuple(cpus) for cpus in seen[count : 2 * count]} == {tuple(before)}


def test_calls_that_meet_share_no_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("minilm_onnx.engine.session.SESSIONS_PAY", 0.0)
    session = Session(BUNDLED / GRAPH, choose_policy(threads=2))
    shared, used, found = session._shared, [], []
    run = Interface.run

    def spy(self: Interface, one: Any, ids: IdArray) -> FloatArray:
        used.append(one)
        return run(self, one, ids)

    monkeypatch.setattr(Interface, "run", spy)
    batch = [np.full(9, 2000, dtype=np.int64)]

    def take(place: int, hidden: FloatArray) -> None:
        found.append(hidden)
        if len(found) == 1:
            session.run_each([batch], take)  # while the first call is at work

    session.run_each([batch], take)
    session.run_each([batch], take)
    assert shared is not None
    assert [one is shared.session for one in used] == [True, False, True]
    assert all(np.array_equal(hidden, found[0]) for hidden in found)


@pytest.mark.skipif(len(affinity()) < 2, reason="needs two CPUs that can be told apart")
def test_a_thread_that_somebody_restricted_is_left_alone() -> None:
    before = affinity()
    os.sched_setaffinity(0, {before[1]})
    try:
        with staying_on(before[:2], 0):
            assert affinity() == [before[1]]
    finally:
        os.sched_setaffinity(0, before)


@pytest.mark.skipif(len(affinity()) < 2, reason="needs two CPUs that can be told apart")
def test_a_sandbox_that_forbids_pinning_only_costs_time(monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session(BUNDLED / GRAPH, choose_policy(threads=2, pinning=True))

    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "sched_setaffinity", refuse)
    assert session.run(np.array([[101, 2000, 102]])).shape == (1, 3, 384)


@pytest.mark.parametrize("name", ["spinning", "pinning", "exact_products"])
def test_policy_refuses_a_switch_that_is_no_bool(name: str) -> None:
    with pytest.raises(InputError, match=f"{name}: expected True, False or None, got 'no'"):
        choose_policy(**{name: "no"})  # type: ignore[arg-type]


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


@pytest.mark.parametrize(
    ("declared", "width", "words"),
    [
        (["B", "T", 4], 4, None),
        (["B", "T", 4], 6, r"expected float32 of shape \(1, 2, 4\).* got float32 of \(1, 2, 6\)"),
        (["B", "T", 4], 0, r"expected float32 of shape .* got float32 of \(2,\)"),
        (["B", "T"], 0, r"of three axes, the last one fixed, got tensor\(float\) of \['B', 'T'\]"),
        (["B", "T", "H"], 4, "the last one fixed"),
        (["B", 1, "T", 4], 4, "of three axes"),
        ([], 4, "of three axes"),
        (["B", "T", 4], 2**20, "got float32 of"),
    ],
)
def test_session_refuses_an_output_that_is_not_as_declared(
    tmp_path: Path, declared: list[str | int], width: int, words: str | None
) -> None:
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    helper, types = onnx.helper, onnx.TensorProto
    # A width that depends on the ids, so that onnxruntime does not find out by itself; or none.
    constants = [
        helper.make_tensor("zero", types.INT64, [1], [0]),
        helper.make_tensor("width", types.INT64, [1], [max(1, width)]),
        helper.make_tensor("axis", types.INT64, [1], [2]),
    ]
    nodes = [
        helper.make_node("Cast", ["input_ids"], ["floats"], to=types.FLOAT),
        helper.make_node("ReduceMax", ["input_ids"], ["largest"], keepdims=0),
        helper.make_node("Mul", ["largest", "zero"], ["nothing"]),
        helper.make_node("Add", ["nothing", "width"], ["last"]),
        helper.make_node("Shape", ["input_ids"], ["first"]),
        helper.make_node("Concat", ["first", "last"], ["shape"], axis=0),
        helper.make_node("Unsqueeze", ["floats", "axis"], ["thin"]),
        helper.make_node("Expand", ["thin", "shape"], ["wide"]),
        helper.make_node("Identity" if width else "Squeeze", ["wide"], ["last_hidden_state"]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("input_ids", types.INT64, ["B", "T"])],
        [helper.make_tensor_value_info("last_hidden_state", types.FLOAT, declared)],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "model.onnx")
    if words is None:
        assert Session(tmp_path / "model.onnx", choose_policy()).interface.dimension == 4
        return
    with pytest.raises((ArtifactError, SessionError), match=words) as refused:
        Session(tmp_path / "model.onnx", choose_policy())
    assert isinstance(refused.value, ArtifactError)
