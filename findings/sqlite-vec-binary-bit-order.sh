#!/usr/bin/env bash
# sqlite-vec 0.1.9, vec_quantize_binary: the first component is the lowest bit of the first byte. numpy.packbits, which
# sentence-transformers' quantize_embeddings(..., precision="ubinary") uses, puts it in the highest. Both are 8 components a byte and are taken by vec_bit() without a word, so bits made by one are compared with
# bits made by the other.
# One would expect the order of the field's other tools, or a word in the documentation of vec_quantize_binary.
#
# It matters to whoever stores what sentence-transformers made and quantises queries in SQL: the distance of a vector to
# itself is not 0 then but near half of its bits, and a search gives anything. packbits(..., bitorder="little") agrees.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet sqlite-vec==0.1.9 numpy==2.4.6 apsw==3.54.1.0
venv/bin/python - << 'PY'
import apsw
import numpy as np
import sqlite_vec

database = apsw.Connection(":memory:")
database.enable_load_extension(True)
database.load_extension(sqlite_vec.loadable_path())


def ask(sql, *values):
    return database.execute(f"select {sql}", values).fetchone()[0]


vectors = np.random.default_rng(0).standard_normal((200, 384)).astype(np.float32)
in_sql = [ask("vec_quantize_binary(?)", row.tobytes()) for row in vectors]
high = [row.tobytes() for row in np.packbits(vectors > 0, axis=1)]
low = [row.tobytes() for row in np.packbits(vectors > 0, axis=1, bitorder="little")]
assert in_sql == low and not set(in_sql) & set(high)

hamming = "vec_distance_hamming(vec_bit(?), vec_bit(?))"
to_itself = [ask(hamming, *pair) for pair in zip(in_sql, high)]
print("distance of a vector to itself, bits of both orders:", min(to_itself), "to", max(to_itself), "of 384")
nearest = [min(range(200), key=lambda other: ask(hamming, bits, high[other])) for bits in in_sql]
found = sum(place == itself for itself, place in enumerate(nearest))
print("vectors that find themselves among 200:", found)
assert all(ask(hamming, *pair) == 0 for pair in zip(in_sql, low))
assert min(to_itself) > 100 and found < 20
PY
