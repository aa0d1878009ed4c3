"""A task class of MTEB's own package, on data made here."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minilm_onnx import SentenceEncoder

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("default"),  # of MTEB's own future
]
mteb = pytest.importorskip("mteb", reason="mteb is not installed")
datasets = pytest.importorskip("datasets", reason="datasets is not installed")

from minilm_onnx.integrations.mteb import MTEBEncoder

PAIRS = [
    ("A man plays a guitar.", "Someone is making music on a guitar.", 4.5),
    ("The train was late.", "The train did not arrive on time.", 4.8),
    ("She cooks soup.", "The soup is being made by her.", 4.4),
    ("A dog runs on the beach.", "An animal is outdoors.", 2.6),
    ("He reads a letter.", "The city has two rivers.", 0.1),
    ("Snow fell all night.", "The invoice is overdue.", 0.0),
]


def test_a_task_of_mteb_gives_the_scores_of_our_vectors(
    tmp_path: Path, encoder: SentenceEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    from scipy.stats import spearmanr

    task = mteb.get_task("STSBenchmark")
    rows: dict[str, list[Any]] = {
        "sentence1": [one for one, _, _ in PAIRS],
        "sentence2": [other for _, other, _ in PAIRS],
        "score": [score for _, _, score in PAIRS],
    }
    task.dataset = datasets.DatasetDict({"test": datasets.Dataset.from_dict(rows)})
    task.data_loaded = True
    found = mteb.evaluate(MTEBEncoder(), task, cache=None, overwrite_strategy="always")
    score = found.task_results[0].scores["test"][0]["cosine_spearman"]
    first, second = encoder.encode(rows["sentence1"]), encoder.encode(rows["sentence2"])
    expected = spearmanr((first * second).sum(axis=1), rows["score"]).statistic
    assert score == pytest.approx(float(expected), abs=1e-6)
    assert np.isfinite(score)
    assert found.model_name == "minilm-onnx/all-MiniLM-L6-v2"
