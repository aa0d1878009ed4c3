"""The engines under comparison, one small module each.

A contender module has:

    REQUIREMENTS        what pip installs in its environment, pinned; "." is this repository
    BATCHES             settings to sweep for `batch`: texts, or padded tokens, a run may hold
    SETUP_REQUIREMENTS  optional: what another environment needs to convert the checkpoint
    prepare(checkpoint, folder)    convert the checkpoint's folder to what the engine loads
    load(folder, threads) -> embed(texts, batch) -> (N, 384) float32 unit rows, in order

It imports its engine inside these functions, so that any environment can read the rest.
Everyone reads 256 tokens of a text, pools by the mean and normalises, on so many threads.
"""

import importlib
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
Batch = int | None
Embed = Callable[[Sequence[str], Batch], FloatArray]

MAX_TOKENS = 256
OURS = "minilm_onnx"
REFERENCE = "sentence_transformers_torch"


def names() -> list[str]:
    """Give every contender's name: this project first, then by alphabet."""
    found = {path.stem for path in Path(__file__).parent.glob("[!_]*.py")}
    return [OURS, *sorted(found - {OURS})]


def module(name: str) -> Any:
    """Import a contender's module; its engine is not needed for that."""
    return importlib.import_module(f"{__name__}.{name}")


def distributions(requirements: Sequence[str]) -> list[str]:
    """Give the names of pinned requirements: `torch==2.13.0` is `torch`."""
    own = ("minilm-onnx" if requirement == "." else requirement for requirement in requirements)
    return [re.split(r"[=<>\[ ]", requirement)[0] for requirement in own]
