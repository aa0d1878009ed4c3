"""Workers of a cluster compare what they are with what the driver expects, without any cluster."""

import platform

import pytest

from minilm_onnx import MiniLMError, SentenceEncoder, __version__
from minilm_onnx.engine.native import KERNEL, NONE, RUNTIME, native
from minilm_onnx.integrations.workers import check_worker, made_by


def test_a_worker_like_the_driver_works(encoder: SentenceEncoder) -> None:
    expected = made_by(encoder)
    assert expected == {
        "version": __version__,
        "fingerprint": encoder.fingerprint,
        "runtime": encoder.runtime,
    }
    check_worker(SentenceEncoder(threads=1), expected)


@pytest.mark.parametrize(
    ("other", "remedy"),
    [
        ("version", "install the same version of minilm-onnx on every machine"),
        ("fingerprint", "give every machine the same model folder"),
        ("runtime", "install the native library on every machine, or on none"),
    ],
)
def test_a_worker_says_which_machine_has_what_else(
    encoder: SentenceEncoder, other: str, remedy: str
) -> None:
    own = made_by(encoder)
    with pytest.raises(MiniLMError) as raised:
        check_worker(encoder, {**own, other: "another 1.0"})
    said = str(raised.value)
    assert said.startswith(f"worker on {platform.node()}: expected {other} another 1.0, as")
    assert f"got {other} {own[other]}, whose vectors may have different bits; {remedy}" in said
    assert "\n" not in said
    # It names only what differs.
    assert [name for name in own if f"got {name} " in said or f", {name} " in said] == [other]


def test_a_worker_says_all_that_differs(encoder: SentenceEncoder) -> None:
    with pytest.raises(MiniLMError) as raised:
        check_worker(encoder, {})  # a driver that says nothing
    said = str(raised.value)
    assert "expected version None, fingerprint None, runtime None, as" in said
    assert "every machine, and give every machine the same model folder, and install" in said


def test_a_worker_without_the_library_is_not_mixed_with_those_that_have_it(
    encoder: SentenceEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    if encoder.runtime != RUNTIME:
        pytest.skip("the native library is not built, or not to be used")
    monkeypatch.setenv(KERNEL, NONE)
    native.cache_clear()
    try:
        worker = SentenceEncoder(threads=1)
    finally:
        native.cache_clear()
    assert worker.fingerprint == encoder.fingerprint
    with pytest.raises(MiniLMError, match=f"runtime {RUNTIME}, as .* got runtime onnxruntime"):
        check_worker(worker, made_by(encoder))
    with pytest.raises(MiniLMError, match=f"runtime onnxruntime .* got runtime {RUNTIME}"):
        check_worker(encoder, made_by(worker))
