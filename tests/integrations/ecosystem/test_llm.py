"""The llm command finds the plugin by its entry point."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from minilm_onnx import SentenceEncoder
from tests.integrations.ecosystem import floats

llm = pytest.importorskip("llm", reason="llm is not installed")


def test_the_model_is_there_by_its_names(encoder: SentenceEncoder) -> None:
    for name in ("minilm-onnx", "all-minilm"):
        model = llm.get_embedding_model(name)
        assert np.array_equal(floats(model.embed("a cat")), encoder.encode("a cat"))
    texts = [f"text {number}" for number in range(300)]
    assert np.array_equal(floats(list(model.embed_multi(texts))), encoder.encode(texts))


def test_the_command_embeds(tmp_path: Path, encoder: SentenceEncoder) -> None:
    command = [sys.executable, "-m", "llm", "embed", "-m", "minilm-onnx", "-c", "a cat"]
    result = subprocess.run(
        command,
        env={"LLM_USER_PATH": str(tmp_path), "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    assert np.array_equal(floats(json.loads(result.stdout)), encoder.encode("a cat"))
