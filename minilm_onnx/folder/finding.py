"""Where a model folder lies, by its name."""

import os
from pathlib import Path

BUNDLED = Path(__file__).parents[1] / "model"
BUNDLED_NAMES = ("all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2")
# Of the environment: a folder of model folders.
HOME = "MINILM_ONNX_HOME"


def find_folder(model: str | Path | None) -> Path:
    """Find a model folder.

    Args:
        model: the name of a folder in the one that the environment's MINILM_ONNX_HOME names; or a
            folder; or the bundled model's name on the hub; None for the bundled model.
    """
    if model is None:
        return BUNDLED
    home = os.environ.get(HOME)
    if home and Path(model).name == str(model) not in ("", ".."):
        # Path's own raises for names that are too long.
        found = Path(home) / model
        if os.path.isdir(found):  # noqa: PTH112  # as said
            return found
    if str(model) in BUNDLED_NAMES and not Path(model).exists():
        return BUNDLED
    return Path(model)
