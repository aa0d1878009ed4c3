#!/usr/bin/env bash
# numpy 2.4.6: np.bitwise_count of a signed integer counts the bits of its absolute value, not those that are set. Of the
# int8 -1, whose 8 bits are all set, it gives 1, and of -128 also 1. As uint8 the same bytes give 8 and 1.
# One would expect a count of bits to count the bits, as the popcount instruction that it compiles to does.
#
# It matters to whoever searches binary embeddings: sentence-transformers' precision "binary" and other sources give
# packed bits as int8, and np.bitwise_count(query ^ corpus).sum(axis=1) looks like the Hamming distance. It runs, puts
# an exact copy first, and is otherwise hardly related to it: where all 8 bits of a byte differ, it counts one. The
# opposite of the query, the farthest vector that there is, comes second of 1,000. View both as uint8 first.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet numpy==2.4.6
venv/bin/python - << 'PY'
import numpy as np

some = np.array([-1, -128, -2, 127], np.int8)
print(f"{some.tolist()}: {np.bitwise_count(some).tolist()}, as uint8 {np.bitwise_count(some.view(np.uint8)).tolist()}")
assert np.bitwise_count(some).tolist() == [1, 1, 1, 7]
assert np.bitwise_count(some.view(np.uint8)).tolist() == [8, 1, 7, 7]

numbers = np.random.default_rng(0)
query = numbers.standard_normal(384)
corpus = np.concatenate([query[None], -query[None], numbers.standard_normal((998, 384))])


def packed(vectors):  # the signs of 8 components in a byte, minus 128 to fit int8
    return (np.packbits(vectors > 0, axis=-1).astype(np.int16) - 128).astype(np.int8)


differing = packed(query) ^ packed(corpus)
counted = np.bitwise_count(differing).sum(axis=1)
hamming = np.bitwise_count(differing.view(np.uint8)).sum(axis=1)
assert np.array_equal(hamming, np.count_nonzero((query > 0) != (corpus > 0), axis=1))
related = np.corrcoef(counted[2:], hamming[2:])[0, 1]
rank = np.count_nonzero(counted < counted[1])
print(f"the opposite of the query: {hamming[1]} of 384 bits differ, counted {counted[1]}, place {rank + 1} of {len(corpus)}")
print(f"correlation with the Hamming distance for the other vectors: {related:.2f}")
assert counted[0] == 0 and hamming[1] == 384 and counted[1] == 48 and rank == 1
assert related < 0.4
PY
