"""MTEB takes the encoder as a model of its protocol."""

import pytest

from minilm_onnx import SentenceEncoder
from tests.support.frameworks import evaluate, find_scores

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("default"),  # of MTEB's own future
]
pytest.importorskip("mteb", reason="mteb is not installed")

from minilm_onnx.integrations.mteb import MTEBEncoder


def test_a_task_of_mteb_gives_the_scores_of_our_vectors(encoder: SentenceEncoder) -> None:
    find_scores(MTEBEncoder(), encoder)


def test_results_say_whose_they_are(encoder: SentenceEncoder) -> None:
    found = evaluate(MTEBEncoder())
    assert found.model_name == "minilm-onnx/all-MiniLM-L6-v2"
    assert found.model_revision == encoder.fingerprint
