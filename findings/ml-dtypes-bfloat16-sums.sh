#!/usr/bin/env bash
# ml_dtypes 0.6.0, numpy's sum and mean of bfloat16 arrays: each partial sum is rounded to bfloat16, one element after the
# other, so that a sum of ones stops at 256 whatever their number, and the mean of 1,000 ones is 0.256. numpy's own float16
# keeps the right mean.
# One would expect a 16-bit float of more range to be summed as numpy sums its own.
#
# It matters to whoever pools token vectors or takes means of embeddings kept in bfloat16: what is wrong has the right shape
# and a plausible size. Where components are around 1, the mean of 1,000 token vectors has half of its length.
# dtype=np.float32 in sum and mean is the remedy.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet ml_dtypes==0.6.0 numpy==2.4.6
venv/bin/python - << 'PY'
import ml_dtypes
import numpy as np

for count in (256, 257, 1000, 100_000):
    ones = np.ones(count, ml_dtypes.bfloat16)
    half = np.ones(min(count, 60_000), np.float16)
    print(f"{count:7} ones: bfloat16 sum {float(ones.sum()):.0f}, mean {float(ones.mean()):.4f}; float16 mean {half.mean():.4f}")
    assert float(ones.sum()) == 256 == float(np.ones(256, ml_dtypes.bfloat16).sum())
    assert half.mean() == 1
    assert float(ones.sum(dtype=np.float32)) == count and float(ones.mean(dtype=np.float32)) == 1

tokens = (1 + 0.1 * np.random.default_rng(0).standard_normal((1000, 384))).astype(ml_dtypes.bfloat16)
ratio = float(np.linalg.norm(tokens.mean(axis=0).astype(np.float32)) / np.linalg.norm(tokens.mean(axis=0, dtype=np.float32)))
print(f"mean of 1,000 token vectors: {ratio:.3f} of the length it should have")
assert ratio < 0.6
PY
