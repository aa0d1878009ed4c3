#!/usr/bin/env bash
# onnx 1.23.2, onnx.save_model(save_as_external_data=True): tensors lie one right behind the other in the data file,
# at whatever offset that gives, here 1,200. onnx's own page on external data says that an offset should be a
# multiple of the page size, so that the file can be mapped.
# One would expect the writer of a format to follow the format's advice.
#
# It matters to whoever reads weights where they are mapped, with instructions of 64 bytes: each read of a tensor
# that begins between two cache lines touches both. To be aligned, offsets have to be set by hand.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet onnx==1.23.2 numpy==2.4.6
venv/bin/python - <<'PY'
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

tensors = [
    numpy_helper.from_array(np.ones(300, np.float32), "small"),
    numpy_helper.from_array(np.ones((64, 64), np.float32), "large"),
]
outputs = [helper.make_tensor_value_info(f"{t.name}_out", TensorProto.FLOAT, t.dims) for t in tensors]
nodes = [helper.make_node("Identity", [t.name], [f"{t.name}_out"]) for t in tensors]
model = helper.make_model(helper.make_graph(nodes, "two", [], outputs, tensors))
onnx.save_model(model, "two.onnx", save_as_external_data=True, location="two.data", size_threshold=0)
offsets = {}
for tensor in onnx.load("two.onnx", load_external_data=False).graph.initializer:
    offsets[tensor.name] = int({entry.key: entry.value for entry in tensor.external_data}["offset"])
print(f"offsets: {offsets}")
assert offsets == {"small": 0, "large": 1200}
assert offsets["large"] % 64 != 0
PY
