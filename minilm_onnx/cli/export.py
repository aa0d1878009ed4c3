"""minilm-onnx export: install a model of one's own, without torch."""

import argparse
from pathlib import Path

from minilm_onnx.cli.making import add_making, check_packages, make, place_of
from minilm_onnx.cli.options import Subparsers, add_command
from minilm_onnx.folder.finding import HOME


def add_parser(subparsers: Subparsers) -> None:
    """Add the subcommand."""
    parser = add_command(
        subparsers,
        run,
        "export",
        summary="install a model of your own, without torch",
        description="Export a model that sentence-transformers saved, compare the result with a "
        "reference (the same model computed by numpy in float64), and install it in the folder "
        f"that the environment variable {HOME} names. FOLDER is not changed. Needs the extra "
        "`models`.",
        examples=(
            "minilm-onnx export my-model --license MIT --calibration texts.txt",
            "minilm-onnx export my-model --precision fp32 --out models/mine",
        ),
        model=False,
    )
    parser.add_argument(
        "folder", metavar="FOLDER", type=Path, help="the folder that the model was saved in"
    )
    parser.add_argument(
        "--name", help="the model's name, none of those that get lists; default: that of FOLDER"
    )
    parser.add_argument(
        "--license",
        default="",
        help="the model's licence, an SPDX identifier; default: the one in its model card",
    )
    add_making(parser)


def run(options: argparse.Namespace) -> int:
    """Export one folder."""
    check_packages("export")
    from minilm_onnx.making.checkpoint import check_name, find_checkpoint
    from minilm_onnx.making.console import say
    from minilm_onnx.making.writing import check_place

    name = options.folder.resolve().name if options.name is None else options.name
    check_name(name)
    out = place_of(options, name.rpartition("/")[2])
    check_place(out, name)
    checkpoint = find_checkpoint(str(options.folder), name, options.license)
    say(f"{checkpoint.model_id}, a model of your own, from {checkpoint.origin}")
    return make(checkpoint, options, out)
