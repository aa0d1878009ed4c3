"""The steps from a checkpoint to a model folder that agrees with a reference."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from minilm_onnx import InputError, SentenceEncoder
from minilm_onnx.engine.native import native, why_no_library
from minilm_onnx.folder.layout import MANIFEST
from minilm_onnx.folder.manifest import Manifest
from minilm_onnx.making.calibrate import calibrate
from minilm_onnx.making.checkpoint import Checkpoint
from minilm_onnx.making.console import say
from minilm_onnx.making.corpus import (
    calibration_ids,
    golden_texts,
    read_hard,
    read_split,
    with_prompts,
)
from minilm_onnx.making.gate import check_fp32, golden_bits, measure, measure_kinds
from minilm_onnx.making.graph import build_fp32, build_int8
from minilm_onnx.making.limits import check_operators
from minilm_onnx.making.recipe import Recipe
from minilm_onnx.making.reference import Reference
from minilm_onnx.making.writing import staging, write_folder
from minilm_onnx.progress import progress_bar

# How a checkpoint is read: what judges its folder, and how it makes vectors.
Read: TypeAlias = Callable[[Checkpoint], tuple[Reference, Recipe]]
# What else the lean fp32 folder is compared with, on the held-out texts.
Compare: TypeAlias = Callable[[Path, Sequence[str]], object]


def check_request(languages: str, precision: str, texts: Path | None) -> None:
    """Refuse what needs no checkpoint to be refused, so that none is downloaded for it.

    Args:
        languages: that the model reads.
        precision: see `make_folder`.
        texts: see `make_folder`.

    Raises:
        InputError: int8 of a model of other languages without texts in them, of too few texts, or
            without the native operators' library.
    """
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
    read_split(texts)


def make_folder(
    checkpoint: Checkpoint,
    out: Path,
    precision: str,
    texts: Path | None,
    read: Read,
    compare: Compare | None = None,
) -> Manifest:
    """Write a model folder, whole or not at all.

    Args:
        checkpoint: a verified checkpoint.
        out: the folder to make, or an earlier export to replace.
        precision: "fp32" or "int8".
        texts: calibration texts of one's own, one a line; None for the project's.
        read: how to read the checkpoint.
        compare: what else must agree with the lean fp32 graph.

    Raises:
        InputError: see `check_place` and `check_request`.
        MiniLMError: the disk is full.
        ArtifactError: the model has something that the runtime does not know, or for int8
            a shape that the native operators cannot take.
        ParityError: the graph does not say the same as its references.
    """
    check_request(checkpoint.pin.languages, precision, texts)
    calibration, held_out = read_split(texts)
    reference, recipe = read(checkpoint)
    weights = recipe.weights
    if precision == "int8":
        check_operators(weights, checkpoint.model_id)
        if texts is None and checkpoint.pin.languages == "unknown":
            say(
                "the model card names no language, so int8 is calibrated on English texts alone; "
                "for other languages, use --calibration FILE"
            )
    held_out = with_prompts(held_out, recipe.prompts)
    golden = reference.golden or golden_texts(reference, recipe.normalize)
    libraries = reference.libraries
    with staging(out, checkpoint.model_id) as folder:
        lean = build_fp32(weights)
        if compare is not None or precision == "int8":
            say("the lean fp32 graph, which int8 is made of")
            fp32 = folder.parent / "fp32"  # on the same disk, and gone afterwards
            write_folder(checkpoint, recipe, fp32, golden, "fp32", lean, libraries)
            check_fp32(SentenceEncoder(fp32), golden)
            if compare is not None:
                compare(fp32, held_out)
        if precision == "int8":
            ids = calibration_ids(recipe, calibration)
            count = len(weights.layers)
            say(f"calibrating {count} layers on {sum(map(len, ids))} tokens, which takes minutes")
            with progress_bar(count, show=sys.stderr.isatty(), unit="layer") as done:
                lean = build_int8(weights, calibrate(weights, ids, lambda _: done(1)))
        manifest = write_folder(checkpoint, recipe, folder, golden, precision, lean, libraries)
        say("parity with the reference on held-out texts")
        parity = measure(folder, precision, reference, held_out)
        manifest = replace(manifest, parity=parity)
        if precision == "int8":
            kinds = measure_kinds(folder, reference, read_hard())
            manifest = replace(manifest, bits=golden_bits(folder, golden), kinds=kinds)
        (folder / MANIFEST).write_text(manifest.to_json(), "utf-8")
    return manifest
