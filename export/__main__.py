"""Turn a checkpoint into a model folder: python -m export --out DIR."""

import argparse
import sys
import warnings
from pathlib import Path

from minilm_onnx.cli import report_errors
from minilm_onnx.errors import InputError
from minilm_onnx.making.checkpoint import DEFAULT_MODEL, find_checkpoint
from minilm_onnx.making.console import say


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m export",
        description="Turn a checkpoint into a model folder: model.onnx and its weights, "
        "tokenizer.json, manifest.json.",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write")
    parser.add_argument(
        "--model",
        default=DEFAULT_MODEL,
        metavar="ID_OR_FOLDER",
        help="checkpoint: a folder, or a hub name (looked for in its data package, then on the "
        "hub); default %(default)s",
    )
    parser.add_argument(
        "--name",
        help="export the folder of --model under a name of your own, whatever its weights are",
    )
    parser.add_argument(
        "--license", default="", help="of that model, as SPDX names it; the manifest says it"
    )
    parser.add_argument(
        "--calibration",
        type=Path,
        metavar="FILE",
        help="texts like those that will be embedded, one a line, of which int8 is made, beside "
        "English ones of this project's; an eighth of them judges it",
    )
    parser.add_argument(
        "--precision", choices=("int8", "fp32"), default="int8", help="default %(default)s"
    )
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """Run the steps in order."""
    options = parse(arguments)
    try:
        from export.steps import export
    except ImportError as error:
        raise InputError(
            f"export: expected the packages of export/requirements.txt, got {error}; install them "
            "(docs/export.md), or use `minilm-onnx export`, which needs no torch"
        ) from error
    checkpoint = find_checkpoint(options.model, options.name, options.license)
    vouched = "verified" if checkpoint.pin.revision else "a model of your own"
    say(f"{checkpoint.model_id}, {vouched}, from {checkpoint.origin}")
    with warnings.catch_warnings():
        # Of the project's own odd texts.
        warnings.filterwarnings("ignore", ".*mostly unknown to the model")
        manifest = export(checkpoint, options.out, options.precision, options.calibration)
    say(f"{options.out}: {manifest.precision}; {manifest.agreement}")
    return 0


if __name__ == "__main__":
    sys.exit(report_errors(main, sys.argv[1:]))
