"""python -m benchmarks.quality, on data made here."""

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

for name in ("onnx", "safetensors", "scipy", "sklearn", "tqdm"):
    pytest.importorskip(name, reason=f"{name} of export/requirements.txt is not installed")

from benchmarks import quality
from minilm_onnx import InputError, SentenceEncoder

PAIRS = [
    (5.0, "A cat sleeps on the sofa.", "A cat is sleeping on a sofa."),
    (2.5, "A cat sleeps on the sofa.", "The dog lies on a blanket."),
    (0.0, "A cat sleeps on the sofa.", "Interest rates rose by a quarter point."),
]
DOCUMENTS = {"d1": "cats sleep most of the day", "d2": "rates of interest", "d3": "boiling pasta"}
QUERIES = {"q1": "how long do cats sleep", "q2": "cooking noodles", "q3": "never judged"}


def pack(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress("".join(f"{line}\n" for line in lines).encode()))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    pack(tmp_path / "sts/sts13.tsv.gz", ["\t".join(map(str, row)) for row in PAIRS])
    folder = tmp_path / "retrieval/scifact"
    documents = [{"_id": name, "title": "", "text": text} for name, text in DOCUMENTS.items()]
    pack(folder / "corpus.jsonl.gz", [json.dumps(row) for row in documents])
    queries = [{"_id": name, "text": text} for name, text in QUERIES.items()]
    pack(folder / "queries.jsonl.gz", [json.dumps(row) for row in queries])
    (folder / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t1\nq2\td3\t1\n")
    pack(tmp_path / "corpora/mixed_10k.jsonl.gz", [json.dumps({"text": row[1]}) for row in PAIRS])
    return tmp_path


def test_report_prints_a_row_for_what_is_there_and_names_what_is_missing(
    data: Path, encoder: SentenceEncoder, capsys: pytest.CaptureFixture[str]
) -> None:
    quality.report(data, encoder, encoder)
    out, err = capsys.readouterr()
    assert "| STS13, Spearman | 100.00 | 100.00 | +0.00 | 1.00000 | 1.00000 |" in out
    assert "| SciFact, nDCG@10 | 100.00 | 100.00 | +0.00 | 1.00000 | 1.00000 |" in out
    assert "| 3 mixed texts |  |  |  | 1.00000 | 1.00000 |" in out
    assert "STS15" not in out
    assert f"{data / 'sts' / 'sts15.tsv.gz'} is missing: left out" in err


class Reversed(SentenceEncoder):
    """Says that what is near is far."""

    def encode(self, sentences: Any, **options: Any) -> Any:  # type: ignore[override]
        vectors = super().encode(sentences, **options)
        first = {*(row[1] for row in PAIRS), *QUERIES.values()}
        signs = [-1 if text in first else 1 for text in sentences]
        return vectors * np.array(signs, dtype=np.float32)[:, None]


def test_report_shows_what_a_worse_model_loses(
    data: Path, encoder: SentenceEncoder, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both relevant documents come last of three: 1 / log2(4) is half of what is ideal."""
    quality.report(data, encoder, Reversed())
    out = capsys.readouterr().out
    assert "| STS13, Spearman | 100.00 | -100.00 | -200.00 | 0.00000 | -1.00000 |" in out
    assert "| SciFact, nDCG@10 | 100.00 | 50.00 | -50.00 | 0.20000 | -1.00000 |" in out


def test_a_data_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected a folder, got none"):
        quality.main(["--data", str(tmp_path / "nowhere")])
