"""sentence-transformers' openvino backend, int8 by NNCF's static quantisation.

The quantised graph is that of openvino_int8 without the pooling, which is done in torch here.
"""

from pathlib import Path

from benchmarks import convert
from benchmarks.contenders import Embed
from benchmarks.contenders.openvino_int8 import quantize_static
from benchmarks.contenders.sentence_transformers_torch import load_backend

REQUIREMENTS = (
    "torch==2.13.0",
    "sentence-transformers==6.2.0",
    "transformers==5.5.4",
    "optimum-intel==2.2.0",
    "openvino==2026.4.1",
    "numpy==2.4.6",
)
# optimum-intel asks for it, and PyPI's build needs CUDA's torch: beside torch for CPUs, importing
# transformers fails. Text needs none.
UNWANTED = ("torchvision",)
SETUP_REQUIREMENTS = convert.REQUIREMENTS
BATCHES = (4, 8, 16, 32)
# Where sentence-transformers looks when it is told no other.
FILE = "openvino/openvino_model.xml"


def prepare(checkpoint: Path, folder: Path) -> None:
    """Quantise the fp32 graph."""
    import openvino

    with quantize_static(checkpoint) as model:
        openvino.save_model(model, folder / FILE, compress_to_fp16=False)
    convert.copy_files(checkpoint, folder)


def load(folder: Path, threads: int) -> Embed:
    """Load the quantised file."""
    options = {"ov_config": {"INFERENCE_NUM_THREADS": threads}}
    return load_backend(folder, threads, "openvino", options)
