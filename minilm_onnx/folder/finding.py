"""Where a model folder lies, by its name, and what the package itself brings."""

import os
import sys
from pathlib import Path

from minilm_onnx.errors import ArtifactError

PACKAGE = Path(__file__).parents[1]
BUNDLED = PACKAGE / "model"
BUNDLED_NAMES = ("all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2")
# Of the environment: a folder of model folders.
HOME = "MINILM_ONNX_HOME"


def find_folder(model: str | Path | None) -> Path:
    """Find a model folder.

    Args:
        model: the name of a folder in the one that the environment's MINILM_ONNX_HOME names; or a
            folder; or the bundled model's name on the hub; None for the bundled model.

    Raises:
        ArtifactError: it is the bundled model, which is missing.
    """
    if model is None:
        return packaged(BUNDLED)
    home = os.environ.get(HOME)
    if home and Path(model).name == str(model) not in ("", ".."):
        # Path's own raises for names that are too long.
        found = Path(home) / model
        if os.path.isdir(found):  # noqa: PTH112  # as said
            return found
    if str(model) in BUNDLED_NAMES and not Path(model).exists():
        return packaged(BUNDLED)
    return Path(model)


def packaged(path: Path) -> Path:
    """Give a file or folder of the package itself, which is on disk.

    Raises:
        ArtifactError: it is missing, as where the package lies in a zip archive.
    """
    # Path's own raise where a folder cannot be entered.
    if os.path.exists(path):  # noqa: PTH110  # as said
        return path
    if any(os.path.isfile(folder) for folder in path.parents):  # noqa: PTH113  # likewise
        why = "the package lies in a zip archive, where onnxruntime cannot read it"
        remedy = "unpack the archive, or install the package with pip"
    elif getattr(sys, "frozen", False):
        why = "the program was frozen without the package's data"
        remedy = "freeze it with them: --collect-data minilm_onnx, if PyInstaller does it"
    else:
        why, remedy = "the installation is not complete", "reinstall minilm-onnx"
    raise ArtifactError(f"{path}: expected a part of the package, got none: {why}; {remedy}")
