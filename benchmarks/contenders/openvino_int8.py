"""OpenVINO, int8 by NNCF, driven directly: the best that could be made of it.

Static quantisation with NNCF's transformer scheme (SmoothQuant) on this project's own
calibration texts; pooling inside the graph; texts sorted by length in batches of padded tokens;
one stream a thread for many batches, all threads for a lone one. What is not int8 runs in the
precision that OpenVINO chooses, bf16 where the CPU has it: 7 % faster than fp32.
"""

import functools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import ROOT, convert
from benchmarks.contenders import MAX_TOKENS, Batch, Embed, FloatArray
from benchmarks.padding import budget_batches, pad, read_tokenizer, rounded

REQUIREMENTS = ("numpy==2.4.6", "openvino==2026.4.1", "tokenizers==0.23.3")
SETUP_REQUIREMENTS = convert.REQUIREMENTS
BATCHES = (256, 512, 1024, 2048)
# Of the clone, since this package is not installed where OpenVINO is.
CALIBRATION = ROOT / "minilm_onnx" / "making" / "texts" / "calibration.txt"
CALIBRATION_TEXTS = 300
# It compiles kernels for every new shape, which makes the first text of a length three times as
# slow; and this multiple is the fastest in bulk, of 1, 8, 16 and 32.
MULTIPLE = 16


def prepare(checkpoint: Path, folder: Path, samples: int = CALIBRATION_TEXTS) -> None:
    """Quantise, and add the pooling."""
    import openvino

    with quantize_static(checkpoint, samples) as model:
        openvino.save_model(add_pooling(model), folder / "model.xml", compress_to_fp16=False)
    convert.copy_files(checkpoint, folder, ["tokenizer.json"])


@contextmanager
def quantize_static(checkpoint: Path, samples: int = CALIBRATION_TEXTS) -> Iterator[Any]:
    """Let optimum write the fp32 graph, and NNCF quantise it; inputs and output stay as they are.

    NNCF is shown so many texts. The model reads weights from a folder that is gone after the
    block: save it before.
    """
    import nncf
    import openvino

    tokenize = read_tokenizer(checkpoint / "tokenizer.json")
    texts = CALIBRATION.read_text("utf-8").splitlines()
    spread = texts[:: max(1, len(texts) // samples)][:samples]
    with convert.standard_folder(checkpoint) as standard:
        model = openvino.Core().read_model(standard / "model.onnx")
        yield nncf.quantize(
            model,
            nncf.Dataset([feed(model, *pad([ids])) for ids in tokenize(spread)]),
            model_type=nncf.ModelType.TRANSFORMER,
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=samples,
        )


def feed(model: Any, ids: Any, mask: Any) -> dict[str, Any]:
    """Give the graph's inputs; MPNet's has no types."""
    given = {"input_ids": ids, "attention_mask": mask}
    return given | ({"token_type_ids": np.zeros_like(ids)} if len(model.inputs) == 3 else {})


def add_pooling(model: Any) -> Any:
    """Append masked mean and normalisation, so that no hidden state leaves the engine."""
    import openvino
    import openvino.opset13 as ops

    (mask,) = (node for node in model.get_parameters() if node.friendly_name == "attention_mask")
    weights = ops.unsqueeze(ops.convert(mask, "f32"), np.int64(2))
    hidden = model.output("last_hidden_state").get_node().input_value(0)
    summed = ops.reduce_sum(ops.multiply(hidden, weights), np.int64(1))
    mean = ops.divide(summed, ops.reduce_sum(weights, np.int64(1)))
    unit = ops.normalize_l2(mean, np.array([1]), 1e-12, "max")
    return openvino.Model([unit], model.get_parameters(), "pooled")


def load(folder: Path, threads: int, tokens: int = MAX_TOKENS) -> Embed:
    """Compile; the graph for many batches when it is first needed. So many tokens are read."""
    import openvino

    core = openvino.Core()
    model = core.read_model(folder / "model.xml")
    width = model.output(0).partial_shape[1].get_length()
    tokenize = read_tokenizer(folder / "tokenizer.json", tokens)
    lone = core.compile_model(
        model, "CPU", {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads}
    ).create_infer_request()

    @functools.cache
    def queue() -> Any:
        config = {
            "PERFORMANCE_HINT": "THROUGHPUT",
            "NUM_STREAMS": threads,
            "INFERENCE_NUM_THREADS": threads,
        }
        return openvino.AsyncInferQueue(core.compile_model(model, "CPU", config), threads)

    def embed(texts: Sequence[str], batch: Batch) -> FloatArray:
        ids = tokenize(texts)
        batches = budget_batches([rounded(len(row), MULTIPLE) for row in ids], batch or MAX_TOKENS)
        vectors: FloatArray = np.empty((len(texts), width), dtype=np.float32)
        if len(batches) == 1:
            lone.infer(feed(model, *pad([ids[i] for i in batches[0]], MULTIPLE)))
            vectors[batches[0]] = lone.get_output_tensor(0).data
            return vectors

        def keep(request: Any, positions: list[int]) -> None:
            vectors[positions] = request.get_output_tensor(0).data

        waiting = queue()
        waiting.set_callback(keep)
        for positions in batches:
            inputs = feed(model, *pad([ids[i] for i in positions], MULTIPLE))
            waiting.start_async(inputs, positions)
        waiting.wait_all()
        return vectors

    return embed
