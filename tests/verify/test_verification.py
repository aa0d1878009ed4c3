import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minilm_onnx import ArtifactError, InputError, SentenceEncoder
from minilm_onnx.cli import main
from minilm_onnx.engine.cpus import governors
from minilm_onnx.engine.native import RUNTIME, native
from minilm_onnx.folder.finding import BUNDLED
from minilm_onnx.folder.layout import GOLDEN, GRAPH, MANIFEST, TOKENIZER, WEIGHTS
from minilm_onnx.folder.small import MINILM
from minilm_onnx.text.tokens import TokenizedTexts
from minilm_onnx.verify import verification
from minilm_onnx.verify.golden import read_golden
from minilm_onnx.verify.verification import advise, run_checks
from tests.conftest import Golden


@pytest.fixture
def wrong() -> Callable[[SentenceEncoder], list[str]]:
    """Give the names of the checks that an encoder fails."""
    return lambda encoder: [check.name for check in run_checks(encoder) if not check.ok]


def test_verify_finds_nothing_wrong_with_the_bundled_model(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["verify"]) == 0
    found = capsys.readouterr()
    assert found.out.count(" ok ") == 4
    assert "WRONG" not in found.out
    assert found.err == ""


def test_verify_says_it_in_json(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification, "SPEED_SECONDS", 0.0)
    assert main(["verify", "--json", "--threads", "1"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["ok"] is True
    assert [check["name"] for check in facts["checks"]] == ["files", "tokens", "vectors", "bits"]
    assert facts["policy"]["threads"] == 1
    assert facts["fingerprint"].startswith("all-MiniLM-L6-v2:int8:256:")


def test_the_bundled_golden_values_are_sentence_transformers(golden: Golden) -> None:
    bundled = read_golden(BUNDLED, 384)
    places = [golden.texts.index(text) for text in bundled.texts]
    assert len(places) > 40
    assert bundled.ids == [golden.ids[place] for place in places]
    np.testing.assert_allclose(bundled.vectors, golden.vectors[places], atol=1e-6)


def test_an_altered_golden_file_is_found(tmp_path: Path, wrong: Any) -> None:
    folder = tmp_path / "model"
    shutil.copytree(BUNDLED, folder)
    path = folder / GOLDEN
    path.write_text(path.read_text().replace("101", "102", 1))
    assert wrong(SentenceEncoder(folder)) == ["files", "tokens"]
    path.write_text("{}")
    assert wrong(SentenceEncoder(folder)) == ["files", "golden"]
    path.unlink()
    assert wrong(SentenceEncoder(folder)) == ["files", "golden"]


def test_a_tokenizer_that_reads_otherwise_is_found(
    wrong: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = SentenceEncoder()
    real = encoder.tokenize_texts

    def drifted(texts: Any) -> TokenizedTexts:
        tokens = real(texts)
        return replace(tokens, ids=[tokens.ids[0][::-1], *tokens.ids[1:]])

    monkeypatch.setattr(encoder, "tokenize_texts", drifted)
    assert wrong(encoder) == ["tokens"]


def l2_normalize_any(vectors: Any) -> Any:
    """Scale one vector or rows of them to length 1."""
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def test_kernels_that_are_not_exact_enough_are_found(
    wrong: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(0)
    real = SentenceEncoder.encode
    finish: Callable[[Any], Any] = np.copy

    def noisy(self: SentenceEncoder, texts: Any, **options: Any) -> Any:
        vectors = real(self, texts, **options)
        noise = random.normal(0, 0.003, vectors.shape).astype(np.float32)
        return finish(vectors + noise)

    monkeypatch.setattr(SentenceEncoder, "encode", noisy)
    for finish, said in (  # noqa: B007  noisy uses it
        (l2_normalize_any, "at least 0.999"),
        (np.copy, "expected length 1"),
    ):
        encoder = SentenceEncoder()
        assert wrong(encoder) == ["vectors", "bits"]
        assert said in run_checks(encoder)[2].found


def test_native_operators_are_held_to_the_bits_of_the_manifest(
    tmp_path: Path, encoder: SentenceEncoder, wrong: Any
) -> None:
    if encoder.runtime != RUNTIME:
        pytest.skip("the native library is not built, or not to be used")
    assert encoder.manifest is not None
    bits = encoder.manifest.bits
    found = run_checks(encoder)[2].found
    assert found.startswith(f"the same bits as on every CPU: sha256 {bits[:16]}...; cosine to")
    folder = tmp_path / "model"
    shutil.copytree(BUNDLED, folder)
    path = folder / MANIFEST
    path.write_text(path.read_text().replace(bits, "0" * 64))
    other = SentenceEncoder(folder)
    assert wrong(other) == ["vectors"]
    found = run_checks(other)[2].found
    assert f"expected the bits that every CPU gives, sha256 {'0' * 64}, got {bits}" in found
    assert "set MINILM_ONNX_KERNEL=plain" in found


def test_without_native_operators_the_cosines_are_what_is_checked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(verification, "SPEED_SECONDS", 0.0)
    monkeypatch.setenv("MINILM_ONNX_KERNEL", "none")
    native.cache_clear()
    try:
        assert main(["verify"]) == 0
    finally:
        native.cache_clear()
    said = capsys.readouterr().out
    assert "vectors    ok     cosine to sentence-transformers fp32: mean 0.999" in said
    assert "promise    the same bits on CPUs of one kind, with onnxruntime " in said
    assert "alone: MINILM_ONNX_KERNEL is none" in said


def test_a_text_that_depends_on_its_company_is_found(
    wrong: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = SentenceEncoder.encode

    def coupled(self: SentenceEncoder, texts: Any, **options: Any) -> Any:
        vectors = real(self, texts, **options)
        return vectors if isinstance(texts, str) else vectors * np.float32(1 + 1e-6)

    monkeypatch.setattr(SentenceEncoder, "encode", coupled)
    encoder = SentenceEncoder()
    # Of native operators every bit is known.
    assert wrong(encoder) == (["vectors", "bits"] if encoder.runtime == RUNTIME else ["bits"])
    found = run_checks(encoder)[-1].found
    assert "bits: expected the same alone, got others for" in found


def test_verify_fails_where_something_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(BUNDLED, folder)
    (folder / GOLDEN).write_text("{}")
    assert main(["verify", "--model", str(folder)]) == 1
    found = capsys.readouterr()
    assert "files      WRONG" in found.out
    assert found.err == "error: the vectors are not to be trusted; see WRONG above\n"


def test_a_folder_without_a_manifest_cannot_be_verified(tmp_path: Path) -> None:
    for name in (GRAPH, WEIGHTS, TOKENIZER):
        shutil.copy(BUNDLED / name, tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(MINILM))
    with pytest.raises(ArtifactError, match=r"expected a manifest\.json to check against"):
        run_checks(SentenceEncoder(tmp_path))


def test_vectors_in_bf16_are_not_verified(
    encoder: SentenceEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoder._embedder, "policy", replace(encoder.policy, bf16=True))
    with pytest.raises(InputError, match=r"bf16: expected False where .* to 1e-05.*; leave it out"):
        run_checks(encoder)


def test_advice_is_given_where_there_is_something_to_gain(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (
        ("cgroup_quota", None),
        ("available_cpus", 4),
        ("affinity", [0, 1, 2, 3]),
        ("machine_cpus", 4),
        ("governors", ["ondemand"] * 4),
    ):
        monkeypatch.setattr(verification, name, lambda value=value: value)
    fast = SentenceEncoder(threads=4, pinning=False, exact_products=False)
    assert advise(fast) == []
    monkeypatch.setenv("MINILM_ONNX_KERNEL", "none")
    native.cache_clear()
    slow = SentenceEncoder(threads=4, pinning=False, exact_products=True)
    native.cache_clear()
    assert "8-bit products saturate" in advise(slow)[0]
    monkeypatch.setattr(verification, "governors", lambda: ["powersave"] * 4)
    assert "governor is powersave" in advise(fast)[0]
    monkeypatch.setattr(verification, "machine_cpus", lambda: 8)
    assert "4 of the machine's 8 CPUs" in advise(fast)[0]
    monkeypatch.setattr(verification, "available_cpus", lambda: 2)
    assert "4 threads for 2 CPUs" in advise(fast)[0]
    monkeypatch.setattr(verification, "cgroup_quota", lambda: 2.5)
    assert "--threads 2 is steadier" in advise(fast)[0]


def test_governors_are_read_for_every_cpu(tmp_path: Path) -> None:
    for number in (0, 4):
        folder = tmp_path / f"sys/devices/system/cpu/cpufreq/policy{number}"
        folder.mkdir(parents=True)
        (folder / "scaling_governor").write_text("powersave\n")
    assert governors(tmp_path) == ["powersave", "powersave"]
    assert governors(tmp_path / "nowhere") == []
