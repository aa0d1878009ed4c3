"""A checkpoint to a model folder that agrees with sentence-transformers, and with optimum."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from export.recipe import read_recipe
from export.reference import SentenceTransformersReference, export_standard
from minilm_onnx import SentenceEncoder
from minilm_onnx.folder.manifest import Manifest
from minilm_onnx.making.checkpoint import Checkpoint
from minilm_onnx.making.gate import check_same
from minilm_onnx.making.recipe import Recipe, as_pinned
from minilm_onnx.making.steps import make_folder


def export(
    checkpoint: Checkpoint, out: Path, precision: str, texts: Path | None = None
) -> Manifest:
    """Write a model folder, whole or not at all: see `minilm_onnx.making.steps.make_folder`.

    The official model's fp32 graph must also agree with the one that optimum makes.
    """

    def compare(fp32: Path, held_out: Sequence[str]) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            export_standard(checkpoint.folder, Path(scratch))
            check_same(
                "the lean fp32 graph against optimum's",
                SentenceEncoder(fp32).encode(held_out),
                SentenceEncoder(scratch).encode(held_out),
            )

    return make_folder(
        checkpoint, out, precision, texts, read_model, compare if checkpoint.official else None
    )


def read_model(checkpoint: Checkpoint) -> tuple[SentenceTransformersReference, Recipe]:
    """Load a checkpoint, and find out how it makes vectors.

    Raises:
        ArtifactError: the model has something that the runtime does not know, or files beside the
            official weights say what the official ones do not.
    """
    reference = SentenceTransformersReference(checkpoint.folder)
    return reference, as_pinned(checkpoint, read_recipe(reference, checkpoint.model_id))
