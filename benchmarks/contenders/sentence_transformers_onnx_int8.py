"""sentence-transformers' onnx backend with the hub's kind of int8 file, for AVX512-VNNI."""

from pathlib import Path

from benchmarks import convert
from benchmarks.contenders import Embed
from benchmarks.contenders.sentence_transformers_torch import load_backend

REQUIREMENTS = (
    "torch==2.13.0",
    # The newest that optimum-onnx 0.1.0 takes: it wants transformers below 4.58, and 6.0 wants 5.
    "sentence-transformers==5.7.0",
    "transformers==4.57.6",
    "optimum-onnx==0.1.0",
    "onnxruntime==1.32.0",
)
SETUP_REQUIREMENTS = convert.REQUIREMENTS
BATCHES = (4, 8, 16, 32)
FILE = "onnx/model_qint8_avx512_vnni.onnx"


def prepare(checkpoint: Path, folder: Path) -> None:
    """Write the fp32 graph and quantise it."""
    convert.quantize_dynamic(checkpoint, (folder / FILE).parent)
    (folder / FILE).with_name("model_quantized.onnx").rename(folder / FILE)
    convert.copy_files(checkpoint, folder)


def load(folder: Path, threads: int) -> Embed:
    """Load the quantised file."""
    import onnxruntime

    session = onnxruntime.SessionOptions()
    session.intra_op_num_threads = threads
    options = {"file_name": FILE, "provider": "CPUExecutionProvider", "session_options": session}
    return load_backend(folder, threads, "onnx", options)
