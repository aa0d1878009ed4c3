"""A checkpoint as an fp32 model folder before the gate judges it; a folder without the library."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from export.steps import read_model
from minilm_onnx.arrays import FloatArray
from minilm_onnx.engine.native import KERNEL, NONE
from minilm_onnx.making.checkpoint import Checkpoint, find_checkpoint
from minilm_onnx.making.corpus import golden_texts
from minilm_onnx.making.graph import build_fp32
from minilm_onnx.making.writing import write_folder
from minilm_onnx.verify.golden import GoldenTexts


def write_fp32(model: Path, out: Path) -> tuple[Checkpoint, GoldenTexts]:
    """Write it; give what was found, and what sentence-transformers says of the golden texts."""
    checkpoint = find_checkpoint(str(model))
    reference, recipe = read_model(checkpoint)
    golden = golden_texts(reference, recipe.normalize)
    graph = build_fp32(recipe.weights)
    write_folder(checkpoint, recipe, out, golden, "fp32", graph, reference.libraries)
    return checkpoint, golden


ENCODE = """
import json, sys, warnings
import numpy as np
from minilm_onnx import SentenceEncoder
warnings.simplefilter("ignore")
vectors = SentenceEncoder(sys.argv[1]).encode(json.load(sys.stdin))
np.save(sys.argv[2], vectors)
"""


def without_library(folder: Path, texts: Sequence[str]) -> FloatArray:
    """Vectors of texts by a model folder whose native operators' bodies are run."""
    out = folder.parent / "bodies.npy"
    subprocess.run(
        [sys.executable, "-c", ENCODE, str(folder), str(out)],
        env=os.environ | {KERNEL: NONE},
        input=json.dumps(texts),
        text=True,
        check=True,
    )
    vectors: FloatArray = np.load(out)
    return vectors
