"""What `get` and `export` share: their options, where a folder goes, and the export itself."""

import argparse
import os
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from minilm_onnx.errors import InputError, installing
from minilm_onnx.folder.finding import HOME

if TYPE_CHECKING:
    from minilm_onnx.making.checkpoint import Checkpoint

# Of the extra `models`, what nothing else needs.
PACKAGES = ("huggingface_hub", "onnx", "safetensors")


def add_making(parser: argparse.ArgumentParser) -> None:
    """Add the options that say what is made, and where."""
    parser.add_argument(
        "--precision",
        choices=("int8", "fp32"),
        default="int8",
        help="int8 takes minutes to make and needs the native operators; fp32 is exact, but four "
        "times as large and slower; default: %(default)s",
    )
    parser.add_argument(
        "--calibration",
        type=Path,
        metavar="FILE",
        help="at least 200 texts like those you will embed, one per line; int8 is calibrated on "
        "them and on this project's English texts, and one in eight is used to test the result; "
        "required for int8 of models whose card names other languages",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help=f"folder to write; default: the model's name, and -fp32 for fp32, in {HOME}",
    )


def check_packages(command: str) -> None:
    """Raise InputError where the extra is not installed."""
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise InputError(
            f"{command}: expected the packages {', '.join(PACKAGES)}, got no {missing[0]}; "
            f"{installing('models')}"
        )


def place_of(options: argparse.Namespace, name: str) -> Path:
    """Say where the model folder goes.

    Raises:
        InputError: nothing says where.
    """
    if options.out is not None:
        found: Path = options.out
        return found
    home = os.environ.get(HOME)
    if not home:
        raise InputError(
            f"{HOME}: expected a folder for models, got none; set it, for example to ~/models, or "
            "use --out DIR"
        )
    return Path(home) / (name if options.precision == "int8" else f"{name}-{options.precision}")


def make(checkpoint: "Checkpoint", options: argparse.Namespace, out: Path) -> int:
    """Export a verified checkpoint, and say what came of it."""
    from minilm_onnx.making.reading import read_model
    from minilm_onnx.making.steps import make_folder

    with warnings.catch_warnings():
        # Of the project's own odd texts.
        warnings.filterwarnings("ignore", ".*mostly unknown to the model")
        manifest = make_folder(checkpoint, out, options.precision, options.calibration, read_model)
    print(f"{out}: {manifest.precision}; {manifest.agreement}")
    home = os.environ.get(HOME)
    listed = home is not None and out.resolve().parent == Path(home).resolve()
    print(f"use it with --model {out.name if listed else out}")
    return 0
