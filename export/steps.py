"""The steps from a checkpoint to a model folder that agrees with sentence-transformers."""

import tempfile
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from export.calibrate import calibrate
from export.checkpoint import Checkpoint
from export.console import say
from export.corpus import calibration_ids, golden_texts, read_hard, read_split, with_prompts
from export.gate import check_fp32, check_same, golden_bits, measure, measure_kinds
from export.graph import build_fp32, build_int8
from export.limits import check_operators
from export.recipe import Recipe, read_recipe
from export.reference import SentenceTransformersReference, export_standard
from export.tokenizer import build_tokenizer
from export.writing import staging, write_folder
from minilm_onnx import ArtifactError, InputError, SentenceEncoder
from minilm_onnx.engine.native import native, why_no_library
from minilm_onnx.folder.layout import MANIFEST
from minilm_onnx.folder.manifest import Manifest


def export(
    checkpoint: Checkpoint, out: Path, precision: str, texts: Path | None = None
) -> Manifest:
    """Write a model folder, whole or not at all.

    Args:
        checkpoint: a verified checkpoint.
        out: the folder to make, or an earlier export to replace.
        precision: "fp32" or "int8".
        texts: calibration texts of one's own, one a line; None for the project's.

    Raises:
        InputError: `out` cannot be written or holds something else; int8 of a model of other
            languages without texts in them, or without the native operators' library.
        ArtifactError: the model has something that the runtime does not know, or for int8
            a shape that the native operators cannot take.
        ParityError: the graph does not say the same as its references.
    """
    languages = checkpoint.pin.languages
    if precision == "int8" and texts is None and languages not in ("en", "unknown"):
        raise InputError(
            f"--calibration: expected texts in the model's languages ({languages}) for int8, got "
            "none; the project's own are English: give a file, or take --precision fp32"
        )
    if precision == "int8" and native() is None:
        raise InputError(
            "--precision int8: expected the native operators' library, whose bits the folder "
            f"states, got none: {why_no_library()}; or take --precision fp32"
        )
    calibration, held_out = read_split(texts)
    reference, recipe = read_model(checkpoint)
    weights = recipe.weights
    if precision == "int8":
        check_operators(weights, checkpoint.model_id)
    held_out = with_prompts(held_out, recipe.prompts)
    golden = golden_texts(reference, recipe.normalize)
    with staging(out) as folder, tempfile.TemporaryDirectory() as scratch:
        lean = build_fp32(weights)
        if checkpoint.official or precision == "int8":
            say("the lean fp32 graph, which int8 is made of")
            write_folder(checkpoint, recipe, Path(scratch) / "fp32", golden, "fp32", lean)
            check_fp32(SentenceEncoder(Path(scratch) / "fp32"), golden)
        if checkpoint.official:
            export_standard(checkpoint.folder, Path(scratch) / "standard")
            check_same(
                "the lean fp32 graph against optimum's",
                SentenceEncoder(Path(scratch) / "fp32").encode(held_out),
                SentenceEncoder(Path(scratch) / "standard").encode(held_out),
            )
        if precision == "int8":
            ids = calibration_ids(recipe, calibration)
            count = len(weights.layers)
            with tqdm(total=count, desc="export: calibrating", unit="layer") as bar:
                lean = build_int8(weights, calibrate(weights, ids, lambda _: bar.update()))
        manifest = write_folder(checkpoint, recipe, folder, golden, precision, lean)
        say("parity with sentence-transformers on held-out texts")
        parity = measure(folder, precision, reference, held_out)
        manifest = replace(manifest, parity=parity)
        if precision == "int8":
            kinds = measure_kinds(folder, reference, read_hard())
            manifest = replace(manifest, bits=golden_bits(folder, golden), kinds=kinds)
        (folder / MANIFEST).write_text(manifest.to_json(), "utf-8")
    return manifest


def read_model(checkpoint: Checkpoint) -> tuple[SentenceTransformersReference, Recipe]:
    """Load a checkpoint, and find out how it makes vectors.

    Raises:
        ArtifactError: the model has something that the runtime does not know, or files beside the
            official weights say what the official ones do not.
    """
    reference = SentenceTransformersReference(checkpoint.folder)
    recipe = read_recipe(reference, checkpoint.model_id)
    expected = checkpoint.pin.says
    found = {name: getattr(recipe, name) for name in expected}
    if found != expected:
        raise ArtifactError(
            f"{checkpoint.folder}: expected {expected} ({checkpoint.model_id}), got {found}; get "
            "the official files, or give a model of your own a --name"
        )
    if not checkpoint.pin.revision or "tokenizer.json" in checkpoint.pin.sha256:
        return reference, recipe
    # From the verified vocabulary, not from a file that nobody vouches for.
    tokenizer = build_tokenizer(checkpoint.folder / "vocab.txt")
    return reference, replace(recipe, tokenizer=tokenizer)
