#!/usr/bin/env bash
# safetensors 0.8.0, safetensors.numpy.save of an array in Fortran order, as a transpose or a result of scipy.linalg is: the
# bytes are written as they lie in memory, under the shape of the array. load gives an array of the same shape whose
# elements are in other places. Nothing is raised.
# One would expect what was saved to be loaded, as numpy.save does, or an error.
#
# It matters to whoever writes weights with numpy, where w.T is how a linear map of PyTorch is turned for x @ w: shapes are
# right, so every check of shapes passes, and the model computes nonsense. A square matrix comes back transposed.
# numpy.ascontiguousarray before saving is the remedy.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet safetensors==0.8.0 numpy==2.4.6 scipy==1.17.1
venv/bin/python - << 'PY'
import numpy as np
import scipy.linalg
from safetensors.numpy import load, save


def round_trip(array):
    return load(save({"weights": array}))["weights"]


weights = np.arange(6, dtype=np.float32).reshape(2, 3)
found = round_trip(weights.T)
print("saved ", weights.T.tolist())
print("loaded", found.tolist())
assert found.shape == (3, 2) and not np.array_equal(found, weights.T)
assert np.array_equal(found.ravel(), weights.ravel())  # memory's order
assert np.array_equal(round_trip(weights), weights)
assert np.array_equal(round_trip(np.ascontiguousarray(weights.T)), weights.T)

square = np.array([[4, 1], [2, 3]], np.float32)
assert np.array_equal(round_trip(square.T), square)  # the transpose of what was given

q, _ = scipy.linalg.qr(np.random.default_rng(0).standard_normal((4, 4)))
print("scipy.linalg.qr:", "Fortran order" if not q.flags.c_contiguous else "C order")
assert not q.flags.c_contiguous and not np.array_equal(round_trip(q), q)
PY
