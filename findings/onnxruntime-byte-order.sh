#!/usr/bin/env bash
# onnxruntime 1.32.0 (Python) on a little-endian machine: a numpy array in the other byte order, dtype ">f4" or ">i8", is
# taken as if it were in the machine's own. Its bytes are read the wrong way round, so 1.0 becomes 4.6e-41 and the
# integer 1 becomes 72057594037927936. Nothing is printed. InferenceSession.run and OrtValue.ortvalue_from_numpy both do
# it, although both refuse float64 for float32 by name, and copy strided arrays as they should.
# numpy, onnx's ReferenceEvaluator and pyarrow 26.0.1 compute with the values or raise an error; one would expect either.
#
# It matters to whoever feeds arrays that came from elsewhere: .npy, HDF5, FITS and NetCDF files keep the byte order of
# their writer, numpy shows such arrays as ordinary ones, and a float model answers with plausible zeros.
# array.astype(array.dtype.newbyteorder("=")) is the remedy.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6 pyarrow==26.0.1
venv/bin/python - << 'PY'
import sys

import numpy as np
import onnxruntime
import pyarrow
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

assert sys.byteorder == "little", "needs a little-endian machine"


def identity(kind):
    ends = [helper.make_tensor_value_info(name, kind, ["n"]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "same", ends[:1], ends[1:])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)


for dtype, kind in ((">f4", TensorProto.FLOAT), (">i8", TensorProto.INT64)):
    np.save("elsewhere.npy", np.array([1, 2, 3], dtype))
    array, model = np.load("elsewhere.npy"), identity(kind)
    assert (array * 2).tolist() == [2, 4, 6]
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    run = session.run(None, {"x": array})[0]
    value = onnxruntime.OrtValue.ortvalue_from_numpy(array).numpy()
    by_reference = ReferenceEvaluator(model).run(None, {"x": array})[0]
    native = session.run(None, {"x": array.astype(array.dtype.newbyteorder("="))})[0]
    print(f"{dtype}: given {array.tolist()}, onnxruntime has {run.tolist()}")
    swapped = array.view(array.dtype.newbyteorder("="))
    assert np.array_equal(run, swapped) and np.array_equal(value, swapped)
    assert np.array_equal(by_reference, array) and np.array_equal(native, array)
    try:
        pyarrow.array(array)
    except pyarrow.ArrowNotImplementedError as error:
        print("pyarrow:", error)
    else:
        raise SystemExit("pyarrow takes it now")
PY
