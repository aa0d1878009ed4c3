"""Exports of other models are calibrated on the right texts, and judged before they are written."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minilm_onnx import InputError, SentenceEncoder
from minilm_onnx.engine.native import native
from minilm_onnx.folder.finding import BUNDLED
from minilm_onnx.verify import verification

for name in ("onnx", "scipy", "sentence_transformers", "transformers"):
    pytest.importorskip(name, reason=f"{name} of export/requirements.txt is not installed")

from sentence_transformers import SentenceTransformer
from tokenizers import normalizers

from export.__main__ import main
from export.steps import read_model
from minilm_onnx.making import gate
from minilm_onnx.making.checkpoint import find_checkpoint
from minilm_onnx.making.corpus import calibration_ids
from minilm_onnx.making.graph import build_fp32
from tests.conftest import cosines
from tests.support.checkpoints import (
    MARKS,
    TEXTS,
    bytes_bpe,
    check,
    exported,
    make,
    mpnets,
    unigram,
    wordpiece,
)
from tests.support.exporting import without_library

pytestmark = MARKS


@pytest.fixture
def own_texts(tmp_path: Path) -> Path:
    """Texts to calibrate on."""
    texts = tmp_path / "texts.txt"
    texts.write_text("\n".join(TEXTS[:300]), "utf-8")
    return texts


@pytest.fixture
def lenient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Random weights have no redundancy to lose; what a trained model loses is another matter."""
    for module, mean, least in (
        (gate, "MIN_MEAN_COSINE", "MIN_COSINE"),
        (verification, "MEAN_COSINE", "MIN_COSINE"),
    ):
        monkeypatch.setattr(module, mean, 0.99)
        monkeypatch.setattr(module, least, 0.95)
    monkeypatch.setattr(gate, "MIN_MEAN_HARD", 0.9)
    monkeypatch.setattr(gate, "MIN_HARD", 0.5)


@pytest.mark.usefixtures("lenient")
@pytest.mark.parametrize(
    ("kind", "tokenizer"),
    [
        ("bert", lambda: wordpiece(True)),
        ("distilbert", lambda: wordpiece(False)),
        ("mpnet", mpnets),
        ("roberta", bytes_bpe),
        ("xlm-roberta", unigram),
    ],
)
def test_int8_of_every_architecture_with_and_without_the_library(
    tmp_path: Path, own_texts: Path, kind: str, tokenizer: Any
) -> None:
    if native() is None:
        pytest.skip("the library of native operators is not installed")
    checkpoint = make(tmp_path, kind, tokenizer())
    encoder = exported(checkpoint, "--precision", "int8", "--calibration", str(own_texts))
    assert encoder.manifest is not None
    assert encoder.manifest.precision == "int8"
    assert encoder.manifest.parity["texts"] == 38
    model = SentenceTransformer(str(checkpoint), device="cpu")
    expected = np.stack([model.encode(text) for text in TEXTS])
    found = encoder.encode(TEXTS)
    assert np.array_equal(encoder.encode(TEXTS[::-1], batch_size=3)[::-1], found)
    bodies = without_library(encoder.folder, TEXTS)
    for vectors in (found, bodies):
        assert cosines(vectors, expected).mean() > 0.998
        assert cosines(vectors, expected).min() > 0.98
    assert not np.array_equal(found, bodies)
    assert cosines(found, bodies).mean() > 0.999


@pytest.mark.usefixtures("lenient")
def test_int8_that_falls_short_or_has_no_texts_is_not_written(
    tmp_path: Path, plain: Path, own_texts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "int8"
    arguments = ["--out", str(out), "--model", str(plain), "--name", "tiny"]
    monkeypatch.setattr(gate, "MIN_COSINE", 1.1)
    with pytest.raises(gate.ParityError, match="nothing was written"):
        main([*arguments, "--calibration", str(own_texts)])
    own_texts.write_text("few\n", "utf-8")
    with pytest.raises(InputError, match="at least 200 texts"):
        main([*arguments, "--calibration", str(own_texts)])
    with pytest.raises(InputError, match=r"languages \(de, en\) for int8"):
        main(arguments)
    assert not out.exists()


@pytest.mark.usefixtures("lenient")
def test_int8_that_falls_short_on_hard_kinds_alone_is_not_written(
    tmp_path: Path, plain: Path, own_texts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "int8"
    monkeypatch.setattr(gate, "MIN_HARD", 1.1)
    with pytest.raises(gate.ParityError, match=r"over \d+ texts of hard kinds, the worst"):
        main(
            [
                *("--model", str(plain), "--name", "tiny", "--out", str(out)),
                *("--calibration", str(own_texts)),
            ]
        )
    assert not out.exists()


def test_int8_without_the_library_is_refused_before_anything_is_computed(
    tmp_path: Path, plain: Path, own_texts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("minilm_onnx.making.steps.native", lambda: None)
    arguments = ["--out", str(tmp_path / "int8"), "--model", str(plain), "--name", "tiny"]
    with pytest.raises(InputError, match=r"got none: .*; or take --precision fp32"):
        main([*arguments, "--calibration", str(own_texts)])
    assert not (tmp_path / "int8").exists()


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_the_gate_refuses_a_graph_that_is_off(
    tmp_path: Path,
    plain: Path,
    own_texts: Path,
    precision: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """int8 too: what it is made of must agree to 1e-5, whatever int8 itself may lose."""

    def off(weights: Any) -> Any:
        norm = dataclasses.replace(weights.embedding_norm, epsilon=0.051)
        return build_fp32(dataclasses.replace(weights, embedding_norm=norm))

    monkeypatch.setattr("minilm_onnx.making.steps.build_fp32", off)
    out = tmp_path / "out"
    with pytest.raises(gate.ParityError, match="no component to differ by more than 1e-05"):
        main(
            [
                *("--model", str(plain), "--name", "tiny", "--out", str(out)),
                *("--precision", precision, "--calibration", str(own_texts)),
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


def test_figures_of_hard_kinds_are_those_of_each(monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = {"runs": ["one one one", "two two"], "signs": ["!!", "..."]}
    rows = SentenceEncoder().encode([text for every in kinds.values() for text in every])
    # A vector at a right angle to the last text's, by which it is turned until the cosine is 0.8.
    apart = rows[0] - (rows[0] @ rows[3]) * rows[3]
    rows[3] = 0.8 * rows[3] + 0.6 * apart / np.linalg.norm(apart)

    class Reference:
        def vectors(self, texts: list[str]) -> Any:
            assert texts == ["one one one", "two two", "!!", "..."]
            return rows

    reference: Any = Reference()
    monkeypatch.setattr(gate, "MIN_MEAN_HARD", 0.94)
    monkeypatch.setattr(gate, "MIN_HARD", 0.79)
    assert gate.measure_kinds(BUNDLED, reference, kinds) == {
        "runs": {"texts": 2, "mean_cosine": 1.0, "min_cosine": 1.0},
        "signs": {"texts": 2, "mean_cosine": 0.9, "min_cosine": 0.8},
    }
    monkeypatch.setattr(gate, "MIN_MEAN_HARD", 0.96)
    with pytest.raises(gate.ParityError, match=r"mean cosine of at least 0\.96, got 0\.95"):
        gate.measure_kinds(BUNDLED, reference, kinds)


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
    begin = wanted[0][1]
    many = [f"text {place}" for place in range(400)]
    every = calibration_ids(recipe, many)
    most = sum(map(len, every)) // 2
    width = recipe.weights.layers[0].intermediate.weight.shape[1]
    monkeypatch.setattr("minilm_onnx.making.corpus.MOST_ACTIVATIONS", most * width)
    some = calibration_ids(recipe, many)
    assert most - max(map(len, every)) < sum(map(len, some)) <= most
    assert sum(ids[1] == begin for ids in some) == len(some) // 2
    assert len({ids.tobytes() for ids in some}) == len(some)
