#!/usr/bin/env bash
# faiss-cpu 1.15.1, IndexFlatIP: vectors with the same score come in descending order of their numbers, and which of them
# are kept are the first ones. So the best 10 are not the head of the best 20: with 100 copies of one text, a search
# for 20 has on places 11 to 20 what a search for 10 had on 1 to 10. IndexFlatL2 gives ascending order, where the best
# 10 are the head of the best 20.
# One would expect an exact search for k to be the head of an exact search for 2 k, by either metric.
#
# It matters to whoever pages through results by asking for more and skipping those already shown. Copies are common
# (boilerplate, quotes, licences), and their scores are equal to the last bit: page 2 shows page 1 again, and what
# should be there is never shown. Sort by score and number yourself, and ask for all that a page may need at once.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet faiss-cpu==1.15.1 numpy==2.4.6
venv/bin/python - << 'PY'
import faiss
import numpy as np

COPIES, PAGE = 100, 10
numbers = np.random.default_rng(0)
others = numbers.standard_normal((1000, 64)).astype(np.float32)
others /= np.linalg.norm(others, axis=1, keepdims=True)
text = others[:1]
corpus = np.concatenate([np.repeat(text, COPIES, axis=0), others[1:]])

for index in (faiss.IndexFlatIP(64), faiss.IndexFlatL2(64)):
    index.add(corpus)
    found = {count: index.search(text, count)[1][0] for count in (PAGE, 2 * PAGE)}
    first, second = found[PAGE], found[2 * PAGE][PAGE:]
    print(f"{type(index).__name__}: page 1 {first.tolist()}, page 2 {second.tolist()}")
    if isinstance(index, faiss.IndexFlatIP):
        assert np.array_equal(first, second)
        assert np.array_equal(found[2 * PAGE], np.arange(2 * PAGE)[::-1])
    else:
        assert np.array_equal(np.concatenate([first, second]), np.arange(2 * PAGE))
PY
