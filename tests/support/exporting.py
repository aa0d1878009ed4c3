"""A checkpoint as an fp32 model folder, as it is before the gate judges it."""

from pathlib import Path

from export.checkpoint import Checkpoint, find_checkpoint
from export.corpus import golden_texts
from export.graph import build_fp32
from export.steps import read_model
from export.writing import write_folder
from minilm_onnx.verify.golden import GoldenTexts


def write_fp32(model: Path, out: Path) -> tuple[Checkpoint, GoldenTexts]:
    """Write it; give what was found, and what sentence-transformers says of the golden texts."""
    checkpoint = find_checkpoint(str(model))
    reference, recipe = read_model(checkpoint)
    golden = golden_texts(reference, recipe.normalize)
    write_folder(checkpoint, recipe, out, golden, "fp32", build_fp32(recipe.weights))
    return checkpoint, golden
