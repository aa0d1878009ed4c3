"""Exports of other models are calibrated on the right texts, and judged before they are written."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minilm_onnx import InputError, SentenceEncoder
from minilm_onnx.verify import verification

for name in ("onnx", "scipy", "sentence_transformers", "transformers"):
    pytest.importorskip(name, reason=f"{name} of export/requirements.txt is not installed")

from tokenizers import normalizers

from export import gate
from export.__main__ import main
from export.checkpoint import find_checkpoint
from export.corpus import calibration_ids
from export.graph import build_fp32
from export.steps import read_model
from tests.support.checkpoints import MARKS, TEXTS, check, exported, make, mpnets, wordpiece

pytestmark = MARKS


@pytest.mark.parametrize("kind", ["bert", "mpnet"])
def test_int8_of_ones_own_texts(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Random weights have no redundancy to lose; what int8 costs a trained model is another matter.
    for module, mean, least in (
        (gate, "MIN_MEAN_COSINE", "MIN_COSINE"),
        (verification, "MEAN_COSINE", "MIN_COSINE"),
    ):
        monkeypatch.setattr(module, mean, 0.99)
        monkeypatch.setattr(module, least, 0.95)
    checkpoint = make(tmp_path, kind, mpnets())
    texts = tmp_path / "texts.txt"
    texts.write_text("\n".join(TEXTS[:300]), "utf-8")
    out = tmp_path / "int8"
    arguments = ["--out", str(out), "--model", str(checkpoint), "--name", "tiny"]
    assert main([*arguments, "--calibration", str(texts)]) == 0
    encoder = SentenceEncoder(out)
    assert encoder.manifest is not None
    assert encoder.manifest.precision == "int8"
    assert encoder.manifest.parity["texts"] == 38
    found = encoder.encode(TEXTS)
    assert np.array_equal(encoder.encode(TEXTS[::-1], batch_size=3)[::-1], found)
    monkeypatch.setattr(gate, "MIN_COSINE", 1.1)
    with pytest.raises(gate.ParityError, match="nothing was written"):
        main([*arguments, "--calibration", str(texts)])
    texts.write_text("few\n", "utf-8")
    with pytest.raises(InputError, match="at least 200 texts"):
        main([*arguments, "--calibration", str(texts)])
    with pytest.raises(InputError, match=r"languages \(de, en\) for int8"):
        main(arguments)


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_the_gate_refuses_a_graph_that_is_off(
    tmp_path: Path, plain: Path, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """int8 too: what it is made of must agree to 1e-5, whatever int8 itself may lose."""

    def off(weights: Any) -> Any:
        norm = dataclasses.replace(weights.embedding_norm, epsilon=0.051)
        return build_fp32(dataclasses.replace(weights, embedding_norm=norm))

    monkeypatch.setattr("export.steps.build_fp32", off)
    texts = tmp_path / "texts.txt"
    texts.write_text("\n".join(TEXTS[:300]), "utf-8")
    out = tmp_path / "out"
    with pytest.raises(gate.ParityError, match="no component to differ by more than 1e-05"):
        main(
            [
                *("--model", str(plain), "--name", "tiny", "--out", str(out)),
                *("--precision", precision, "--calibration", str(texts)),
            ]
        )
    assert not out.exists()


def test_the_gate_refuses_another_tokenizer(
    tmp_path: Path, plain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cased(*arguments: Any) -> Any:
        reference, recipe = read_model(*arguments)
        recipe.tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False)
        return reference, recipe

    monkeypatch.setattr("export.steps.read_model", cased)
    with pytest.raises(gate.ParityError, match="the tokenizer differs"):
        main(["--model", str(plain), "--name", "x", "--out", str(tmp_path), "--precision", "fp32"])


def test_the_gate_refuses_bits_that_depend_on_the_batch(
    tmp_path: Path, plain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "other_bits", lambda *_: iter([("alone", np.array([3]))]))
    out = tmp_path / "out"
    with pytest.raises(gate.ParityError, match="expected the same bits alone"):
        main(["--model", str(plain), "--name", "x", "--out", str(out), "--precision", "fp32"])


def test_the_gate_refuses_lengths_that_are_off() -> None:
    rows = np.ones((3, 4), dtype=np.float32)
    gate.check_lengths(rows * np.float32(1.02), rows)
    with pytest.raises(gate.ParityError, match=r"lengths within 3% .*, got 4\.0%"):
        gate.check_lengths(rows * np.float32(1.04), rows)


def test_calibration_sees_prompts_and_not_too_many_texts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts = {"query": "指令：\u3000", "passage": ""}
    checkpoint = make(tmp_path, "bert", wordpiece(True), prompts=prompts)
    encoder = exported(checkpoint)
    check(encoder, checkpoint)
    _, recipe = read_model(find_checkpoint(str(checkpoint), "tiny"))
    texts = [f"text {place}" for place in range(6)]
    assert len(calibration_ids(recipe, texts)) == 6
    wanted = encoder.tokenize_texts([prompts["query"] + text for text in texts[1::2]]).ids
    assert [row.tolist() for row in calibration_ids(recipe, texts)[1::2]] == [
        row.tolist() for row in wanted
    ]
    monkeypatch.setattr("export.corpus.MOST_TOKENS", 20)
    assert len(calibration_ids(recipe, texts)) == 2
