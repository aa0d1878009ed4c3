#!/usr/bin/env bash
# usearch 2.26.6, Index(metric="cos", dtype="i8") given float32 vectors: each is scaled to a length of 127, in its README's
# words to occupy the full 8-bit range. A component of 1,024 then is around 4, and 40 of the 255 levels are used.
# Cosines are wrong by up to 0.025, and do not get better with more dimensions. dtype="e4m3", which is a byte a component
# too but has only 3 bits of fraction, is three times as exact. The same index filled with int8 vectors that were scaled
# by their largest component, so again the same bytes a vector, is eight times as exact, or more.
# One would expect 8-bit integers to beat 8-bit floats where components are of much the same size.
#
# It matters to whoever turns dtype="i8" on to save memory: with 384 dimensions or more, one or two of the ten nearest are
# others, even by the exact search used here. The remedy costs no byte: quantise first, and add int8 arrays.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet usearch==2.26.6 numpy==2.4.6
venv/bin/python - << 'PY'
import numpy as np
from usearch.index import Index

COUNT, QUERIES, NEAREST = 1500, 50, 10
numbers = np.random.default_rng(0)


def nearest(scores):
    return np.argsort(-scores, axis=1, kind="stable")[:, :NEAREST]


def measured(vectors, dtype, cosines):
    """Give the largest error of a cosine, the share of true neighbours found, and the levels used."""
    index = Index(ndim=vectors.shape[1], metric="cos", dtype=dtype)
    index.add(np.arange(COUNT), vectors)
    found = index.search(vectors[:QUERIES], COUNT, exact=True)
    scores = np.empty_like(cosines)
    np.put_along_axis(scores, found.keys.astype(int), 1 - found.distances, axis=1)
    pairs = zip(nearest(scores), nearest(cosines))
    share = np.mean([np.isin(some, true).mean() for some, true in pairs])
    return float(abs(scores - cosines).max()), float(share), len(np.unique(index.get(np.arange(COUNT))))


seen = {}
for dimensions in (128, 384, 1024):
    # Not all round zero: like embeddings, with a direction in common.
    vectors = numbers.standard_normal((COUNT, dimensions)) + 0.7 * numbers.standard_normal(dimensions)
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    cosines = vectors[:QUERIES] @ vectors.T
    scaled = np.rint(vectors * (127 / abs(vectors).max(axis=1, keepdims=True))).astype(np.int8)
    kinds = {
        "float32 in i8": (vectors, "i8"),
        "float32 in e4m3": (vectors, "e4m3"),
        "int8 in i8": (scaled, "i8"),
    }
    for name, (given, dtype) in kinds.items():
        error, share, levels = seen[name, dimensions] = measured(given, dtype, cosines)
        print(f"{dimensions:5} dimensions, {name:15}: error {error:.4f}, found {share:.0%}, {levels} levels")

for dimensions in (384, 1024):
    (plain, share, levels), (by_float, _, _), (scaled, scaled_share, scaled_levels) = (
        seen[name, dimensions] for name in ("float32 in i8", "float32 in e4m3", "int8 in i8")
    )
    assert plain > 2 * by_float and plain > 5 * scaled
    assert levels < 80 and scaled_levels == 255
    assert share < 0.9 and scaled_share > 0.95
assert seen["float32 in i8", 1024][0] > seen["float32 in i8", 128][0]
PY
