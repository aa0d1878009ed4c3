"""The engines under comparison, one small module each.

A contender module has:

    REQUIREMENTS        what pip installs in its environment, pinned; "." is this repository, and
                        git+file://.@COMMIT a commit of it
    BATCHES             settings to sweep for `batch`: texts, or padded tokens, a run may hold
    SETUP_REQUIREMENTS  optional: what another environment needs to convert the checkpoint
    NPM_REQUIREMENTS    optional: what npm installs beside that, pinned
    UNWANTED            optional: packages that pip brings and setup uninstalls again
    SAME_MODEL          optional: False for another model, whose vectors are not compared
    prepare(checkpoint, folder)    convert the checkpoint's folder to what the engine loads
    load(folder, threads) -> embed(texts, batch) -> (N, 384) float32 unit rows, in order
    worker(venv, folder, threads)  instead of load: the command of a worker in another language

It imports its engine inside these functions, so that any environment can read the rest, and so
that a cold start counts what the engine needs and no more.
Everyone reads 256 tokens of a text, pools by the mean and normalises, on so many threads.
"""

import importlib
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

FloatArray: TypeAlias = "npt.NDArray[np.float32]"
Batch = int | None
Embed: TypeAlias = "Callable[[Sequence[str], Batch], FloatArray | list[list[float]]]"

MAX_TOKENS = 256
OURS = "minilm_onnx"
REFERENCE = "sentence_transformers_torch"
# What this project runs on; whoever runs on onnxruntime gets the same versions where it takes them.
RUNTIME = ("numpy==2.4.6", "onnxruntime==1.32.0", "tokenizers==0.23.3")
# What every run needs: what the others are compared with, in speed and in quality.
NEEDED = (OURS, REFERENCE)


def names() -> list[str]:
    """Give every contender's name: this project first, then by alphabet."""
    found = {path.stem for path in Path(__file__).parent.glob("[!_]*.py")}
    return [OURS, *sorted(found - {OURS})]


def module(name: str) -> Any:
    """Import a contender's module; its engine is not needed for that."""
    return importlib.import_module(f"{__name__}.{name}")


def longest_first(texts: Sequence[str]) -> list[int]:
    """Order texts for an engine that pads a batch to its longest text and sorts nothing itself."""
    return sorted(range(len(texts)), key=lambda i: -len(texts[i]))


def embed_longest_first(
    texts: Sequence[str], embed: "Callable[[list[str]], Sequence[Sequence[float]] | FloatArray]"
) -> "FloatArray":
    """Embed texts longest first, for the same engines, and put the vectors back in order."""
    import numpy as np

    order = longest_first(texts)
    vectors: FloatArray = np.empty((len(texts), 384), dtype=np.float32)
    vectors[order] = embed([texts[i] for i in order])
    return vectors


def distributions(requirements: Sequence[str]) -> list[str]:
    """Give the names of pinned requirements: `torch==2.13.0` is `torch`."""
    own = ("minilm-onnx" if requirement == "." else requirement for requirement in requirements)
    return [re.split(r"[=<>\[ ]", requirement)[0] for requirement in own]
