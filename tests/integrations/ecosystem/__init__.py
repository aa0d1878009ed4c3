"""Bridges, each with its framework's own tests where it has some; skipped where it is not there."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from minilm_onnx import integrations
from minilm_onnx.arrays import FloatArray


def floats(given: Any) -> FloatArray:
    """What a framework made lists of."""
    return np.array(given, dtype=np.float32)


def read_less(folder: Path) -> None:
    """Make of a model folder one that makes other vectors, as a process meets it that comes new."""
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    text = json.dumps({**manifest, "max_seq_length": 16})
    (folder / "manifest.json").write_text(text, "utf-8")
    integrations._shared_encoder.cache_clear()
