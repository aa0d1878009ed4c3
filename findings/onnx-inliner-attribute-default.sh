#!/usr/bin/env bash
# onnx 1.23.2, onnx.inliner.inline_local_functions: where a function of a model has an attribute with a default value and
# a call does not give it, the default is lost. The inlined node then has the default of its own operator: LeakyRelu's
# slope becomes 0.01 where the function says 0.5. onnx.checker accepts both models, nothing is printed, and the two
# compute different numbers. onnxruntime 1.32.0 and onnx-ir 1.1.0 keep the default; onnx's own ReferenceEvaluator
# cannot run the model at all.
# One would expect inlining to leave what a model computes as it is, above all by the package that defines the format.
#
# It matters to whoever inlines a model for a tool that does not read functions: the result is a valid model with
# other outputs. Until that changes, state every attribute at every call, or inline with onnx-ir.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet onnx==1.23.2 onnx-ir==1.1.0 onnxruntime==1.32.0 numpy==2.4.6
venv/bin/python - << 'PY'
import numpy as np
import onnx
import onnx.inliner
import onnx.parser
import onnx_ir
import onnxruntime
from onnx.reference import ReferenceEvaluator
from onnx_ir.passes.common import InlinePass

MODEL = """
<ir_version: 10, opset_import: ["" : 17, "local" : 1]>
graph (float[n] x) => (float[n] y) { y = local.Bent CALL (x) }
<domain: "local", opset_import: ["" : 17]>
Bent <slope: float = 0.5> (a) => (b) { b = LeakyRelu <alpha: float = @slope> (a) }
"""


def outputs(model):
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": np.array([-2, 4], np.float32)})[0].tolist()


silent = onnx.parser.parse_model(MODEL.replace("CALL", ""))
stated = onnx.parser.parse_model(MODEL.replace("CALL", "<slope: float = 0.5>"))
by_onnx = outputs(onnx.inliner.inline_local_functions(silent))
by_onnx_ir = onnx_ir.from_proto(silent)
InlinePass()(by_onnx_ir)
by_onnx_ir = outputs(onnx_ir.to_proto(by_onnx_ir))
stated_by_onnx = outputs(onnx.inliner.inline_local_functions(stated))
print("as it is:", outputs(silent), "inlined by onnx-ir:", by_onnx_ir, "inlined by onnx:", by_onnx)
print("inlined by onnx where the call states the value:", stated_by_onnx)
assert outputs(silent) == by_onnx_ir == stated_by_onnx == [-1.0, 4.0]
assert np.allclose(by_onnx, [-0.02, 4.0])
try:
    ReferenceEvaluator(silent).run(None, {"x": np.array([-2, 4], np.float32)})
except TypeError as error:
    print("ReferenceEvaluator:", type(error).__name__)
else:
    raise SystemExit("ReferenceEvaluator runs it now")
PY
