#!/usr/bin/env bash
# onnx 1.23.2, MatMulInteger: its specification allows one zero point for each row of A, as a vector of M elements.
# onnx's ReferenceEvaluator subtracts that vector along the columns: wrong numbers without a word where A is square, and
# an error where it is not. onnxruntime 1.32.0 refuses such a vector when the node runs, not when it loads the model.
# Shaped [M, 1] it is computed rightly by the reference, and refused all the same by onnxruntime.
# One would expect the reference to be what an implementation can be tested against.
#
# It matters to whoever writes a kernel or a quantiser with one zero point a token: a test on a small square matrix
# makes a right kernel look wrong, or a wrong one right. Columns of B are treated as specified by both.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
venv/bin/python - << 'PY'
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

onnxruntime.set_default_logger_severity(4)
description = {one.name: one.description for one in onnx.defs.get_schema("MatMulInteger").inputs}["a_zero_point"]
assert "M element vector" in description


def attempt(run):
    try:
        return run()[0].tolist()
    except Exception as error:
        return type(error).__name__


def computed(a, b, **points):
    arrays = {"a": a, "b": b, **points}
    names = [name if name in arrays else "" for name in ("a", "b", "a_zero", "b_zero")]
    inputs = [helper.make_tensor_value_info(n, TensorProto.UINT8, x.shape) for n, x in arrays.items()]
    output = helper.make_tensor_value_info("y", TensorProto.INT32, [a.shape[0], b.shape[1]])
    graph = helper.make_graph([helper.make_node("MatMulInteger", names, ["y"])], "product", inputs, [output])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return {
        "onnx": attempt(lambda: ReferenceEvaluator(model).run(None, arrays)),
        "onnxruntime": attempt(lambda: session.run(None, arrays)),
    }


b = np.array([[1, 2], [3, 4], [5, 6]], np.uint8)
square = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]], np.uint8)
points = np.array([1, 4, 7], np.uint8)
true = ((square.astype(int) - points[:, None]) @ b).tolist()
along_columns = ((square.astype(int) - points) @ b).tolist()
results = {
    "square A, [M]": computed(square, b, a_zero=points),
    "two rows, [M]": computed(square[:2], b, a_zero=points[:2]),
    "square A, [M, 1]": computed(square, b, a_zero=points[:, None]),
    "columns of B, [N]": computed(square, b, b_zero=points[:2]),
}
print("expected for square A:", true)
for name, result in results.items():
    print(f"{name}: {result}")
assert results["square A, [M]"]["onnx"] == along_columns != true
assert results["two rows, [M]"]["onnx"] == "ValueError"
assert results["square A, [M, 1]"]["onnx"] == true
assert {result["onnxruntime"] for result in list(results.values())[:3]} == {"Fail"}
columns = (square.astype(int) @ (b.astype(int) - points[:2])).tolist()
assert results["columns of B, [N]"] == {"onnx": columns, "onnxruntime": columns}
PY
