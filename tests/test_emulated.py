"""The package on a CPU that this machine is not: QEMU user emulation. Never a timing here."""

import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import Golden, cosines
from tests.test_parity import MEAN_COSINE, MIN_COSINE, ORDINARY

CODE = """
import json, sys, numpy
from minilm_onnx import SentenceEncoder
from minilm_onnx.policy import products_saturate
assert products_saturate()
encoder = SentenceEncoder(threads=1)
texts = json.load(open(sys.argv[1]))
vectors = encoder.encode(texts)
assert numpy.array_equal(numpy.stack([encoder.encode(text) for text in texts[:20]]), vectors[:20])
numpy.save(sys.argv[2], vectors)
"""


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() != "x86_64", reason="emulates x86-64 on x86-64")
def test_a_cpu_whose_products_saturate_keeps_the_limits(tmp_path: Path, golden: Golden) -> None:
    """Haswell has AVX2 and no VNNI; without the guard the mean cosine falls to 0.997."""
    qemu = shutil.which("qemu-x86_64")
    if qemu is None:
        pytest.skip("qemu-x86_64 (Debian's qemu-user) is not installed")
    chosen = [
        i
        for i, (kind, ids) in enumerate(zip(golden.kinds, golden.ids, strict=True))
        if kind in ORDINARY and len(ids) <= 100
    ][::3]
    (tmp_path / "texts.json").write_text(json.dumps([golden.texts[i] for i in chosen]), "utf-8")
    result = subprocess.run(
        [
            qemu,
            "-cpu",
            "Haswell",
            Path(sys.executable).resolve(),
            "-c",
            CODE,
            tmp_path / "texts.json",
            tmp_path / "vectors.npy",
        ],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    found = cosines(np.load(tmp_path / "vectors.npy"), golden.vectors[chosen])
    assert found.mean() >= MEAN_COSINE
    assert found.min() >= MIN_COSINE
