"""The library of native operators: found, loaded once, and never a wrong kernel."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from minilm_onnx import InputError, SentenceEncoder, SessionError
from minilm_onnx.engine import native as module
from minilm_onnx.engine.graph import load_graph
from minilm_onnx.engine.native import (
    KERNEL,
    RUNTIME,
    Kernel,
    Native,
    find_library,
    kernels,
    native,
    native_for,
    no_native,
    running_alone,
)
from minilm_onnx.engine.policy import choose_policy, products_saturate
from minilm_onnx.engine.session import Session
from minilm_onnx.engine.silent import onnxruntime
from minilm_onnx.folder.finding import BUNDLED
from minilm_onnx.folder.layout import GRAPH
from minilm_onnx.verify.golden import bits_of

SATURATION = Path(module.__file__).parents[1] / "probes" / "saturation.onnx"
built = pytest.mark.skipif(
    find_library() is None, reason="not built: python kernels/build.py minilm_onnx/native/minilm.so"
)
# Embeds a few texts, and prints what computed and a sha256 of the vectors.
CODE = """
import json, sys
from minilm_onnx import SentenceEncoder
from minilm_onnx.verify.golden import bits_of
encoder = SentenceEncoder(threads=int(sys.argv[1]))
vectors = encoder.encode(["a cat", "the quick brown fox " * 40, "", "rain in Spain"] * 5)
print(json.dumps([encoder.runtime, bits_of(vectors)]))
"""


@pytest.fixture(autouse=True)
def anew(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What the process has loaded is looked for again, before and after."""
    monkeypatch.delenv(KERNEL, raising=False)
    native.cache_clear()
    yield
    native.cache_clear()


def fake(*kernels: Kernel, chosen: str | None) -> Any:
    """Stands in for a library that is loaded."""

    def named(place: int) -> bytes | None:
        return kernels[place].name.encode() if place < len(kernels) else None

    return SimpleNamespace(
        minilm_kernel=lambda: chosen.encode() if chosen else None,
        minilm_kernel_name=named,
        minilm_kernel_runs=lambda place: int(kernels[place].runs),
        minilm_kernel_is_right=lambda place: int(kernels[place].right or False),
    )


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file where the library is looked for."""
    monkeypatch.setattr(module, "FOLDER", tmp_path)
    path = tmp_path / module.NAMES.get(sys.platform, "minilm.so")
    path.touch()
    return path


def embedded(kernel: str, threads: int = 1) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(threads)],
        env={**os.environ, KERNEL: kernel},
        capture_output=True,
        text=True,
        check=True,
    )
    found: list[str] = json.loads(done.stdout)
    return found


@built
def test_the_bundled_model_runs_native_operators() -> None:
    library = native_for(BUNDLED / GRAPH)
    assert library is not None
    usable = [kernel.name for kernel in kernels(library.path) if kernel.right]
    assert library.kernel == usable[0]
    assert usable[-1] == "plain"
    encoder = SentenceEncoder()
    assert encoder.runtime == RUNTIME
    assert encoder.policy.exact_products is False


@built
def test_every_kernel_and_any_number_of_threads_give_the_same_bits() -> None:
    library = find_library()
    assert library is not None
    usable = [kernel.name for kernel in kernels(library) if kernel.right]
    found = [embedded(name, threads) for name, threads in zip(usable, (1, 2, 3, 1), strict=False)]
    assert found == [[RUNTIME, found[0][1]]] * len(usable)


@built
def test_products_are_not_asked_about_where_the_native_ones_are_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def asked() -> bool:
        raise AssertionError("asked")

    monkeypatch.setattr("minilm_onnx.engine.policy.products_saturate", asked)
    SentenceEncoder(threads=1)


def test_without_the_library_onnxruntime_computes_nearly_the_same(
    monkeypatch: pytest.MonkeyPatch, encoder: SentenceEncoder
) -> None:
    monkeypatch.setenv(KERNEL, "none")
    other = SentenceEncoder(threads=1)
    assert other.runtime == f"onnxruntime {onnxruntime.__version__}"
    assert other.policy.exact_products == products_saturate()
    assert other.fingerprint == encoder.fingerprint
    texts = ["a cat sat on the mat", "rain in Spain"]
    cosines = (other.encode(texts) * encoder.encode(texts)).sum(axis=1)
    assert cosines.min() > 0.999
    assert no_native(BUNDLED / GRAPH) == "MINILM_ONNX_KERNEL is none"


def test_a_graph_of_other_operators_does_not_load_the_library(
    library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KERNEL, "abacus")  # which nobody asks for
    assert native_for(SATURATION) is None
    assert no_native(SATURATION) == "the graph has no native operators"


def test_the_library_of_another_system_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checkout that a container shares may have two."""
    monkeypatch.setattr(module, "FOLDER", tmp_path)
    for system, name in module.NAMES.items():
        monkeypatch.setattr(sys, "platform", system)
        assert find_library() is None
        (tmp_path / name).touch()
        assert find_library() == tmp_path / name
        (tmp_path / name).unlink()
        (tmp_path / "minilm.so").touch()
        assert (find_library() is None) == (system != "linux")
        (tmp_path / "minilm.so").unlink()


def test_plain_c_is_used_only_if_it_is_asked_for(
    library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On x86-64 without AVX2, onnxruntime is many times as fast."""
    old = fake(Kernel("avx2", False, None), Kernel("plain", True, True), chosen="plain")
    monkeypatch.setattr(module, "load", lambda path: old)
    assert native() is None
    assert "no native kernel but plain C's" in no_native(BUNDLED / GRAPH)
    monkeypatch.setenv(KERNEL, "plain")
    native.cache_clear()
    assert native() == Native(library, "plain")


def test_an_installation_without_the_library_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FOLDER", tmp_path)
    assert native() is None
    assert "has no native library; install the package again" in no_native(BUNDLED / GRAPH)
    (tmp_path / module.LEFT_OUT).write_text("cc failed with exit code 1\n")
    said = no_native(BUNDLED / GRAPH)
    assert "has no native library, since cc failed with exit code 1; install the package" in said
    monkeypatch.setenv(KERNEL, "avx2")
    native.cache_clear()
    with pytest.raises(InputError, match=r"expected none, .* has no native library, got 'avx2'"):
        native()


@built
def test_a_kernel_that_cannot_be_had_is_refused_with_those_that_can() -> None:
    with pytest.raises(subprocess.CalledProcessError) as raised:
        embedded("abacus")
    assert "InputError: MINILM_ONNX_KERNEL: expected " in raised.value.stderr
    assert "plain, which this CPU can run, or none, got 'abacus'" in raised.value.stderr


def test_a_kernel_that_is_not_right_cannot_be_had(
    library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_it = (Kernel("fast", True, False), Kernel("slow", False, None), Kernel("plain", True, True))
    monkeypatch.setenv(KERNEL, "fast")
    monkeypatch.setattr(module, "load", lambda path: fake(*of_it, chosen=None))
    with pytest.raises(InputError, match=r"expected plain, which .* or none, got 'fast'"):
        native()
    assert kernels(library) == list(of_it)


def test_a_library_without_a_right_kernel_is_an_error(
    library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = Kernel("plain", True, False)
    monkeypatch.setattr(module, "load", lambda path: fake(wrong, chosen=None))
    with pytest.raises(
        SessionError, match="expected a kernel that computes the right bits, got none"
    ):
        native()


def test_a_library_that_does_not_load_is_an_error(library: Path) -> None:
    library.write_bytes(b"no library")
    with pytest.raises(SessionError, match=r"expected the library of native operators, got: .*"):
        SentenceEncoder(threads=1)


@built
def test_another_library_is_an_error(library: Path) -> None:
    import _ctypes  # some library that is there

    if not getattr(_ctypes, "__file__", None):
        pytest.skip("this Python has it built in")
    library.write_bytes(Path(_ctypes.__file__).read_bytes())
    with pytest.raises(
        SessionError, match=r"expected the library of native operators, got: .*minilm"
    ):
        native()


@built
def test_a_library_of_other_arithmetic_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """As an editable install has it after a change of the operators."""
    monkeypatch.setattr(module, "BITS", module.BITS + 1)
    with pytest.raises(SessionError, match="expected minilm operators 1, got a library with other"):
        native()


def test_a_library_that_onnxruntime_does_not_take_is_an_error(library: Path) -> None:
    with pytest.raises(SessionError, match="could not load the native operators: ") as raised:
        load_graph(BUNDLED / GRAPH, choose_policy(threads=1), Native(library, "plain"))
    assert raised.value.__cause__ is not None


def test_all_threads_run_one_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """So the weights are mapped once, whether a batch has all threads or one."""
    made = []

    def counted(*arguments: Any) -> Any:
        made.append(arguments)
        return load_graph(*arguments)

    monkeypatch.setattr("minilm_onnx.engine.session.load_graph", counted)
    monkeypatch.setattr("minilm_onnx.engine.session.SESSIONS_PAY", 0.0)
    library = native_for(BUNDLED / GRAPH)
    session = Session(BUNDLED / GRAPH, choose_policy(threads=2, pinning=False), library)
    batches = [list(np.full((8, 60), 2000 + place, dtype=np.int64)) for place in range(12)]
    found: dict[int, str] = {}
    session.run_each(batches, lambda place, hidden: found.update({place: bits_of(hidden)}))
    alone = {place: bits_of(session.run(np.stack(ids))) for place, ids in enumerate(batches)}
    assert found == alone
    assert len(session._apart) == 2
    assert len(made) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="tells what each thread did by Linux's files")
def test_a_block_keeps_native_operators_to_their_thread() -> None:
    library = native_for(BUNDLED / GRAPH)
    session = load_graph(BUNDLED / GRAPH, choose_policy(threads=2, pinning=False), library)
    feed = {"input_ids": np.full((4, 64), 2000, dtype=np.int64)}
    (together,) = session.run(None, feed)

    def others_rest() -> bool:
        before = work_of_others()
        (alone,) = session.run(None, feed)
        assert bits_of(alone) == bits_of(together)
        return work_of_others() == before

    with running_alone(library):
        # The first may still see them go to sleep.
        assert any(others_rest() for _ in range(100))


def test_an_interrupt_at_its_start_leaves_no_block_behind(
    library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else this thread would run all its batches alone from then on, and nobody would know."""
    said = []

    def interrupted(yes: int) -> None:
        said.append(yes)
        if yes:
            raise KeyboardInterrupt

    monkeypatch.setattr(module, "_run_alone", lambda path: interrupted)
    with pytest.raises(KeyboardInterrupt), running_alone(Native(library, "plain")):
        pass
    assert said == [1, 0]


def work_of_others() -> dict[str, str]:
    """Give what each other thread of this process has done, by its number."""
    own = str(threading.get_native_id())
    threads = (path for path in Path("/proc/self/task").iterdir() if path.name != own)
    return {path.name: (path / "schedstat").read_text() for path in threads}
