#!/usr/bin/env bash
# onnx 1.23.2, onnx.version_converter.convert_version on a model that has functions of its own (model-local functions, which
# ONNX has had since opset 15): the model that comes back has the nodes that call them, and none of the functions. Nothing
# is raised, and onnx.checker.check_model(..., full_check=True) passes: a domain that it does not know is left alone.
# One would expect the functions to be carried over, or the conversion to refuse such a model.
#
# It matters to whoever has functions in a model, as custom operators with a body of standard ones are written, and raises
# the opset for a newer runtime: all checks are green, and the model cannot be run.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet onnx==1.23.2 numpy==2.4.6
venv/bin/python - << 'PY'
import numpy as np
import onnx
from onnx import checker, parser, version_converter
from onnx.reference import ReferenceEvaluator

model = parser.parse_model("""
    <ir_version: 9, opset_import: ["": 17, "mine": 1]>
    twice (float[N] x) => (float[N] y) { y = mine.double(x) }
    <domain: "mine", opset_import: ["": 17]>
    double (a) => (b) { b = Add(a, a) }
""")
checker.check_model(model, full_check=True)
inputs = {"x": np.ones(2, np.float32)}
assert ReferenceEvaluator(model).run(None, inputs)[0].tolist() == [2, 2]

converted = version_converter.convert_version(model, 21)
checker.check_model(converted, full_check=True)
print("functions before:", [one.name for one in model.functions])
print("functions after: ", [one.name for one in converted.functions])
print("nodes after:     ", [f"{node.domain}.{node.op_type}" for node in converted.graph.node])
assert len(model.functions) == 1 and len(converted.functions) == 0
assert [node.domain for node in converted.graph.node] == ["mine"]
try:
    ReferenceEvaluator(converted).run(None, inputs)
except NotImplementedError as error:
    print("run:             ", error)
else:
    raise SystemExit("the converted model runs")
PY
