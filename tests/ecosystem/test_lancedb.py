"""LanceDB: a table that embeds by itself, reopened."""

from pathlib import Path

import numpy as np
import pytest

from minilm_onnx import SentenceEncoder

lancedb = pytest.importorskip("lancedb", reason="lancedb is not installed")

from lancedb.embeddings import get_registry
from lancedb.pydantic import LanceModel, Vector

from minilm_onnx.integrations import lancedb as bridge


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
