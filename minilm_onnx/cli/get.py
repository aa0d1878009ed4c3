"""minilm-onnx get: download and install another model, without torch."""

import argparse
from pathlib import Path

from minilm_onnx.cli.making import add_making, check_packages, make, place_of
from minilm_onnx.cli.options import Subparsers, add_command
from minilm_onnx.errors import ArtifactError, InputError, shown
from minilm_onnx.folder.finding import HOME
from minilm_onnx.folder.manifest import parse_manifest


def add_parser(subparsers: Subparsers) -> None:
    """Add the subcommand."""
    parser = add_command(
        subparsers,
        run,
        "get",
        summary="download and install another model, without torch",
        description="Download a pinned revision of a model from the Hugging Face hub, verify the "
        "sha256 of weights and tokenizer, export it, compare the result with a reference, and "
        f"install it in the folder that the environment variable {HOME} names. Nothing is "
        "installed if a step fails. Without NAME, list the names. Needs the extra `models`.",
        examples=(
            "minilm-onnx get",
            "minilm-onnx get bge-small-en-v1.5",
            "minilm-onnx get multilingual-e5-small --precision fp32",
        ),
        model=False,
    )
    parser.add_argument(
        "name", metavar="NAME", nargs="?", help="the model's name, with or without its owner"
    )
    add_making(parser)


def run(options: argparse.Namespace) -> int:
    """List the names, or install one."""
    from minilm_onnx.making.pins import PINS

    names = {model.rpartition("/")[2]: model for model in PINS}
    if options.name is None:
        for short, full in sorted(names.items()):
            print(f"{short}\t{PINS[full].languages}\t{PINS[full].license}\t{full}")
        return 0
    name = options.name.rpartition("/")[2]
    model = names.get(name)
    if model is None or options.name not in (name, model):
        raise InputError(
            f"name: expected one of {', '.join(sorted(names))}, got {shown(options.name)}; "
            "no other model is pinned: `hf download OWNER/NAME --local-dir FOLDER`, then "
            "`minilm-onnx export FOLDER`"
        )
    out = place_of(options, name)
    damage = ""
    if _is_there(out, model, PINS[model].revision, options.precision):
        damage = _damage(out)
        if not damage:
            print(f"{out}: already installed; to make it again, remove the folder")
            return 0
    check_packages("get")
    from minilm_onnx.making.checkpoint import find_pinned
    from minilm_onnx.making.console import say
    from minilm_onnx.making.steps import check_request
    from minilm_onnx.making.writing import check_place

    check_place(out, model)
    if damage:
        say(f"{damage}; making it again")
    check_request(PINS[model].languages, options.precision, options.calibration)
    checkpoint = find_pinned(model)
    say(f"{checkpoint.model_id}, verified, from {checkpoint.origin}")
    return make(checkpoint, options, out)


def _is_there(out: Path, model: str, revision: str, precision: str) -> bool:
    """Whether a folder holds what is asked for, by its manifest."""
    try:
        manifest = parse_manifest(out)
    except ArtifactError:
        return False
    found = (manifest.model_id, manifest.revision, manifest.precision)
    return found == (model, revision, precision)


def _damage(folder: Path) -> str:
    """Say which file of a folder is not the one that its manifest lists; "" for none."""
    from minilm_onnx.verify.verification import check_files

    try:
        check_files(folder)
    except ArtifactError as error:
        return str(error).partition(";")[0]
    return ""
