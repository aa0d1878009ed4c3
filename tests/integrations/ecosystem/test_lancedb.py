"""LanceDB: a table that embeds by itself, reopened."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minilm_onnx import ArtifactError, InputError, SentenceEncoder
from minilm_onnx.folder.finding import BUNDLED

lancedb = pytest.importorskip("lancedb", reason="lancedb is not installed")

from lancedb.embeddings import get_registry
from lancedb.pydantic import LanceModel, Vector

from minilm_onnx.integrations import lancedb as bridge
from tests.integrations.ecosystem import read_less


def test_a_table_embeds_and_finds(tmp_path: Path, encoder: SentenceEncoder) -> None:
    function = get_registry().get("minilm-onnx").create(threads=1)
    assert isinstance(function, bridge.MiniLMFunction)

    class Entry(LanceModel):
        text: str = function.SourceField()
        vector: Vector(function.ndims()) = function.VectorField()  # type: ignore[valid-type]

    texts = ["The bakery opens at six.", "Trains leave every hour."]
    table = lancedb.connect(tmp_path).create_table("faq", schema=Entry)
    table.add([{"text": text} for text in texts])
    kept = np.stack(table.to_arrow()["vector"].to_pylist()).astype(np.float32)
    assert np.array_equal(kept, encoder.encode(texts))
    again = lancedb.connect(tmp_path).open_table("faq")
    (found,) = again.search("when can I buy bread?").limit(1).to_list()
    assert found["text"] == texts[0]


def filled(folder: Path, **options: Any) -> Any:
    """A table of one text."""
    function = get_registry().get("minilm-onnx").create(**options)

    class Entry(LanceModel):
        text: str | None = function.SourceField()
        vector: Vector(function.ndims()) = function.VectorField(default=None)  # type: ignore[valid-type]

    table = lancedb.connect(folder).create_table("faq", schema=Entry)
    table.add([{"text": "The bakery opens at six."}])
    return table


def kept(table: Any) -> Any:
    (one,) = json.loads(table.schema.metadata[b"embedding_functions"])
    return one["model"]


def test_a_table_keeps_its_model_and_no_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoder: SentenceEncoder
) -> None:
    assert kept(filled(tmp_path / "a", threads=1)) == {"fingerprint": encoder.fingerprint}
    monkeypatch.chdir(BUNDLED.parent)
    expected = {"model": str(BUNDLED.resolve()), "fingerprint": encoder.fingerprint}
    assert kept(filled(tmp_path / "b", model=Path(BUNDLED.name))) == expected
    get_registry().set_var("minilm", str(BUNDLED))
    expected["model"] = "$var:minilm"
    assert kept(filled(tmp_path / "c", model="$var:minilm")) == expected


def test_a_table_of_another_model_is_refused(tmp_path: Path) -> None:
    folder = shutil.copytree(BUNDLED, tmp_path / "model")
    filled(tmp_path, model=folder)
    read_less(folder)
    again = lancedb.connect(tmp_path).open_table("faq")
    with pytest.raises(ArtifactError, match=r"table: expected .*:256:.* got .*:16:"):
        again.search("bread").limit(1).to_list()
    with pytest.raises(Exception, match="table: expected"):  # Arrow's, around it
        again.add([{"text": "Trains leave every hour."}])
    assert again.count_rows() == 1


def test_null_is_what_lancedb_was_told_it_is(tmp_path: Path, encoder: SentenceEncoder) -> None:
    table = filled(tmp_path)
    with pytest.raises(Exception, match="on_bad_vectors"):
        table.add([{"text": "a cat"}, {"text": None}])
    table.add([{"text": "a cat"}, {"text": None}], on_bad_vectors="null")
    rows = {row["text"]: row["vector"] for row in table.to_arrow().to_pylist()}
    assert rows[None] is None
    assert np.array_equal(np.float32(rows["a cat"]), encoder.encode("a cat"))


def test_a_wrong_text_is_refused_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def waits(seconds: float) -> None:
        raise AssertionError(f"waited {seconds} s")

    monkeypatch.setattr("time.sleep", waits)
    table = filled(tmp_path)
    with pytest.raises(InputError, match="lone surrogate"):
        table.search("\ud800").limit(1).to_list()
    function = get_registry().get("minilm-onnx").create()
    wrong: list[Any] = [[3], 3]
    for texts in wrong:
        with pytest.raises(InputError, match="texts"):
            function.compute_source_embeddings_with_retry(texts)
