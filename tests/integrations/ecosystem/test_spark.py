"""Spark: the example gives the bits of `encode`, with pip's pyspark and the machine's Java."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from minilm_onnx import SentenceEncoder
from minilm_onnx.engine.native import KERNEL, NONE, RUNTIME

pytest.importorskip("pyspark", reason="pyspark is not installed")
pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")

import pyarrow.parquet as pq

EXAMPLE = Path(__file__).parents[3] / "examples" / "spark_embed.py"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("java"), reason="Java is not installed"),
]


def run(*arguments: Path | str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, str(EXAMPLE), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
        # Spark's workers are to be this Python, and Spark to ask no name server for this machine.
        env={
            **os.environ,
            "PYSPARK_PYTHON": sys.executable,
            "SPARK_LOCAL_IP": "127.0.0.1",
            **environment,
        },
    )


def test_the_example_embeds_a_column(tmp_path: Path, encoder: SentenceEncoder) -> None:
    texts: list[str | None] = [f"text {number} of many" for number in range(50)]
    texts[7] = None
    source, target = tmp_path / "rows.parquet", tmp_path / "vectors"
    pq.write_table(pa.table({"id": range(50), "body": texts}), source)
    found = run(source, "body", target)
    assert found.returncode == 0, found.stderr[-2000:]
    assert "50 rows" in found.stdout
    rows = pq.read_table(target).sort_by("id")
    assert rows["body"].to_pylist() == texts
    vectors = rows["embedding"].to_pylist()
    assert vectors.pop(7) is None
    expected = encoder.encode([text for text in texts if text is not None])
    assert np.array_equal(np.array(vectors, np.float32), expected)


def test_workers_without_the_library_end_the_job(tmp_path: Path, encoder: SentenceEncoder) -> None:
    if encoder.runtime != RUNTIME:
        pytest.skip("the native library is not built, or not to be used")
    source, target = tmp_path / "rows.parquet", tmp_path / "vectors"
    pq.write_table(pa.table({"body": ["a cat"]}), source)
    of_workers = f"--conf spark.executorEnv.{KERNEL}={NONE} pyspark-shell"
    found = run(source, "body", target, PYSPARK_SUBMIT_ARGS=of_workers)
    assert found.returncode != 0
    assert f"expected runtime {RUNTIME}, as the driver has, got runtime onnxruntime" in found.stderr
    assert not list(target.glob("*.parquet"))
