"""python -m benchmarks.quality, on data made here."""

import gzip
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

for name in ("onnx", "safetensors", "scipy", "sklearn", "tqdm"):
    pytest.importorskip(name, reason=f"{name} of export/requirements.txt is not installed")

from benchmarks import quality, quality_tables
from benchmarks.quality_tables import publish, tables
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
    pack(tmp_path / "corpora/mixed_10k.jsonl.gz", [json.dumps({"text": row[2]}) for row in PAIRS])
    return tmp_path


def measured(data: Path, fp32: SentenceEncoder, int8: SentenceEncoder) -> dict[str, Any]:
    """The results, and their tables in one."""
    with warnings.catch_warnings():  # ranges of three vectors
        warnings.simplefilter("ignore")
        found = quality.measure(data, fp32, int8)
    return found | {"printed": "\n".join(tables(found, {}).values())}


def test_measure_gives_a_row_for_what_is_there_and_names_what_is_missing(
    data: Path, encoder: SentenceEncoder, capsys: pytest.CaptureFixture[str]
) -> None:
    out = measured(data, encoder, encoder)["printed"]
    assert "| STS13, Spearman | 80.60 | 100.00 | 100.00 | +0.00 | 1.00000 | 1.00000 |" in out
    assert "| SciFact, nDCG@10 | 64.51 | 100.00 | 100.00 | +0.00 | 1.00000 | 1.00000 |" in out
    assert "| 3 mixed texts |  |  |  |  | 1.00000 | 1.00000 |" in out
    assert "STS15" not in out
    path = data / "sts" / "sts15.tsv.gz"
    assert f"{path} is missing: left out" in capsys.readouterr().err


class Reversed(SentenceEncoder):
    """Says that what is near is far."""

    def encode(self, sentences: Any, **options: Any) -> Any:  # type: ignore[override]
        vectors = super().encode(sentences, **options)
        first = {*(row[1] for row in PAIRS), *QUERIES.values()}
        signs = [-1 if text in first else 1 for text in sentences]
        return vectors * np.array(signs, dtype=np.float32)[:, None]


def test_measure_shows_what_a_worse_model_loses(data: Path, encoder: SentenceEncoder) -> None:
    """Both relevant documents come last of three: 1 / log2(4) is half of what is ideal."""
    out = measured(data, encoder, Reversed())["printed"]
    assert "| STS13, Spearman | 80.60 | 100.00 | -100.00 | -200.00 | 0.00000 | -1.00000 |" in out
    assert "| SciFact, nDCG@10 | 64.51 | 100.00 | 50.00 | -50.00 | 0.20000 | -1.00000 |" in out


def test_rankings_show_what_each_step_costs(data: Path, encoder: SentenceEncoder) -> None:
    out = measured(data, encoder, Reversed())["printed"]
    assert '| fp32 | `"float32"` | 1,536 | 100.00 | 1.000 | 1.000 |' in out
    assert '| int8 | `"float32"` | 1,536 | 50.00 | 1.000 | 1.000 |' in out
    assert '| int8 | `"binary"` | 48 | ' in out
    assert "SciFact: 2 queries, 3 texts; mixed texts: 3 queries, 3 texts." in out


def test_a_data_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected a folder, got none"):
        quality.main(["--data", str(tmp_path / "nowhere")])


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stands in for docs/quality.md."""
    path = tmp_path / "page.md"
    parts = ("kinds", "benchmarks", "ranking")
    path.write_text("".join(f"<!-- {part} -->\nold {part}\n<!-- end -->\n" for part in parts))
    monkeypatch.setattr(quality_tables, "DOCUMENT", path)
    return path


@pytest.mark.filterwarnings("ignore:.*mostly unknown")
def test_without_data_only_kinds_are_compared_and_published(
    page: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = page.with_name("results.json")
    assert quality.main(["--publish", "--out", str(out)]) == 0
    table = capsys.readouterr().out.strip()
    assert table.startswith("| kind of text | texts | mean cosine | minimum | worst text |")
    assert table in page.read_text("utf-8")
    assert "old kinds" not in page.read_text("utf-8")
    assert "old ranking" in page.read_text("utf-8")
    assert tables(json.loads(out.read_text("utf-8")), {}) == {"kinds": table}


def test_a_table_that_lacks_rows_is_not_published(
    data: Path, page: Path, encoder: SentenceEncoder
) -> None:
    before = page.read_text("utf-8")
    with pytest.raises(InputError, match="expected all of the data"):
        publish(measured(data, encoder, encoder), {})
    assert page.read_text("utf-8") == before
