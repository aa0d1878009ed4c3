"""python -m benchmarks.retrieval: what its page says of the committed results."""

import json

import pytest

pytest.importorskip("apsw", reason="minilm-onnx[search] is not installed")

from benchmarks.retrieval import DOCUMENT, tables
from tests.support.documents import ROOT

RESULTS = ROOT / "benchmarks" / "results"


def test_the_page_says_what_the_committed_results_say() -> None:
    found = json.loads((RESULTS / "epyc-2-cores-retrieval.json").read_text("utf-8"))
    said = tables(found)
    assert said in DOCUMENT.read_text("utf-8"), "run python -m benchmarks.retrieval --publish"


def test_whole_documents_score_as_on_the_page_about_quality() -> None:
    """So both are of one model."""
    retrieval, quality = (
        json.loads((RESULTS / f"epyc-2-cores-{name}.json").read_text("utf-8"))
        for name in ("retrieval", "quality")
    )
    (row,) = (one for one in quality["benchmarks"] if one["name"].startswith("SciFact"))
    found = retrieval["quality"]["ndcg_whole_documents"]
    assert round(found, 2) == pytest.approx(row["scores"][1], abs=0.011)
