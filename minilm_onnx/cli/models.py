"""minilm-onnx models: the model folders that are here."""

import argparse
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from minilm_onnx.cli.options import Subparsers, add_command, printable
from minilm_onnx.errors import ArtifactError, InputError, shown
from minilm_onnx.folder.artifact import load_artifact
from minilm_onnx.folder.files import check_file
from minilm_onnx.folder.finding import BUNDLED, HOME, packaged
from minilm_onnx.folder.layout import MANIFEST
from minilm_onnx.folder.manifest import Manifest


def add_parser(subparsers: Subparsers) -> None:
    """Add the subcommand."""
    parser = add_command(
        subparsers,
        run,
        "models",
        summary="which models are here",
        description="List the model in the package and those in the folder that the environment "
        f"variable {HOME} names. --model takes their names. The commands get and export install "
        "more.",
        examples=("minilm-onnx models", "minilm-onnx models --json"),
        model=False,
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    """Print what each manifest says."""
    found = [_describe("", BUNDLED), *(_describe(one.name, one) for one in _folders())]
    if options.json:
        print(json.dumps(found, indent=2))
        return 0
    for one in found:
        title = "the model in the package" if not one["name"] else f"--model {one['name']}"
        print(printable(title))
        if one["error"]:
            print(f"  cannot be used: {printable(one['error'])}")
            continue
        manifest = Manifest(**one["manifest"])
        normalized = "" if manifest.normalize else ", not of unit length by itself"
        rows = {
            "model": manifest.model_id,
            "made of": f"{manifest.made_of}{normalized}",
            "gives": f"{manifest.dimension} components",
            "reads": f"{manifest.max_seq_length} tokens; languages: {manifest.languages}",
            "weighs": f"{one['bytes'] / 2**20:.0f} MiB, {manifest.precision}",
            "parity": manifest.agreement,
            "licence": manifest.license,
        }
        for name, value in rows.items():
            print(f"  {name:<8} {value}")
    return 0


def _folders() -> list[Path]:
    """Give the folders in MINILM_ONNX_HOME that have a manifest, or cannot be looked into.

    Raises:
        InputError: it names no folder.
        OSError: it cannot be listed.
    """
    home = os.environ.get(HOME)
    if not home or not os.path.lexists(home):  # nothing was installed yet
        return []
    if not os.path.isdir(home):  # noqa: PTH112  # Path's raises for names that are too long
        raise InputError(f"{HOME}: expected a folder, got {shown(home)}; correct it, or unset it")
    folders = [Path(home, name) for name in sorted(os.listdir(home))]  # noqa: PTH208  # names
    return [
        folder
        for folder in folders
        if os.path.exists(folder / MANIFEST)  # noqa: PTH110  # as above
        or (os.path.isdir(folder) and not os.access(folder, os.X_OK))  # noqa: PTH112  # as above
    ]


def _describe(name: str, folder: Path) -> dict[str, Any]:
    """Give what a folder is, without a look at the bytes of its large files."""
    found: dict[str, Any] = {"name": name, "folder": str(folder), "error": None, "manifest": None}
    try:
        if folder == BUNDLED:
            packaged(folder)
        manifest = load_artifact(folder).manifest
        if manifest is not None:
            found["manifest"] = asdict(manifest)
            for one in manifest.files:
                check_file(folder / one)
            found["bytes"] = sum((folder / one).stat().st_size for one in manifest.files)
    except ArtifactError as error:
        found["error"] = str(error)
    return found
