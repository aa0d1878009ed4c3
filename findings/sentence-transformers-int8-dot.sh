#!/usr/bin/env bash
# sentence-transformers 6.2.0, util.dot_score of int8 embeddings, as its own quantize_embeddings gives them: computed in
# int8, so that a score is the last byte of the true one, between -128 and 127. util.semantic_search with dot_score then
# ranks at random: of 200 texts that are searched for by themselves, none is found. Nothing is printed.
# cos_sim raises an error for the same arrays, and dot_score makes float16 float32 first, so one would expect it
# to do the same for integers, or to raise as well.
#
# It matters to whoever keeps embeddings in a byte a component and searches them without an index: hits have the right
# form and plausible scores. Convert to float32 first (sums of 384 products stay exact), or use semantic_search_usearch.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --no-compile sentence-transformers==6.2.0 torch==2.13.0 numpy==2.4.6
venv/bin/python - << 'PY'
import numpy as np
from sentence_transformers import quantize_embeddings
from sentence_transformers.util import cos_sim, dot_score, semantic_search

COUNT = 200
embeddings = np.random.default_rng(0).standard_normal((COUNT, 384)).astype(np.float32)
embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
codes = quantize_embeddings(embeddings, "int8", calibration_embeddings=embeddings)

scores = dot_score(codes, codes).numpy()
true = codes.astype(np.int32) @ codes.astype(np.int32).T
print(f"score of a text with itself: {scores[0, 0]} as {scores.dtype}, in 32 bits {true[0, 0]}")
assert scores.dtype == np.int8 and np.array_equal(scores, true.astype(np.int8))


def found(vectors):
    hits = semantic_search(vectors, vectors, top_k=1, score_function=dot_score)
    return sum(best["corpus_id"] == place for place, (best,) in enumerate(hits))


as_int8, as_float = found(codes), found(codes.astype(np.float32))
print(f"texts that find themselves: {as_int8} of {COUNT} as int8, {as_float} as float32")
assert as_int8 < 10 and as_float == COUNT
assert dot_score(embeddings.astype(np.float16), embeddings.astype(np.float16)).numpy().dtype == np.float32
try:
    cos_sim(codes, codes)
except RuntimeError as error:
    print("cos_sim:", str(error)[:80])
else:
    raise SystemExit("cos_sim takes int8 now")
PY
