#!/usr/bin/env bash
# txtai-minimal 9.14.0 (also the module of txtai 9.14.0), Embeddings with content=True: when embedding fails in an
# upsert, the new text stays in the database without a vector: SQL finds it, count() and a search by meaning do not.
# From then on every upsert of other texts ends with "UNIQUE constraint failed: sections.indexid", in a copy that was
# saved and loaded as well. One that replaces a text that is there has deleted the old one by then. Only an
# upsert of the same ids again mends it.
# Guess before it was run: a failed upsert leaves the index as it was, so that the next one may hold anything.
# One would expect that, or a text without a vector to be passed over.
#
# It matters to whoever embeds by a service that may be down, or by a model that may refuse a text: one failure that is
# caught and logged stops the index from growing, and loses texts that were to be replaced. Repeat exactly
# what failed, or load the last saved index again.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet txtai-minimal==9.14.0 numpy==2.4.6 huggingface-hub==2.4.0 msgpack==1.2.4 pyyaml==6.0.4 regex==2026.11.19
venv/bin/python - << 'PY'
import sqlite3

import numpy as np
from txtai import Embeddings

VECTORS = {"bread": [1, 0, 0], "trains": [0, 1, 0], "rivers": [0, 0, 1], "lost": [0.6, 0.8, 0]}
down = False


def transform(texts):
    if down:
        raise ConnectionError("the service is down")
    return np.array([VECTORS[text] for text in texts], dtype=np.float32)


def after_a_failure():
    global down
    index = Embeddings(transform=transform, backend="numpy", content=True)
    index.index([("a", "bread", None), ("b", "trains", None)])
    down = True
    try:
        index.upsert([("c", "lost", None)])
    except ConnectionError as error:
        print("upsert of c:", error)
    down = False
    return index


def texts(index):
    return {row["id"]: row["text"] for row in index.search("select id, text from txtai limit 9")}


def upsert(index, *row):
    try:
        index.upsert([(*row, None)])
    except sqlite3.IntegrityError as error:
        return str(error)
    return "done"


refused = "UNIQUE constraint failed: sections.indexid"
index = after_a_failure()
print("SQL:", texts(index), "count:", index.count(), "nearest:", index.search("lost", 1)[0]["text"])
assert texts(index)["c"] == "lost"
assert index.count() == 2
assert index.search("lost", 1)[0]["text"] == "trains"

said = upsert(index, "d", "rivers")
print("upsert of d:", said)
assert said == refused

index = after_a_failure()
index.save("saved")
index.close()
index = Embeddings().load("saved", config={"transform": transform})
said = upsert(index, "d", "rivers")
print("saved and loaded, upsert of d:", said)
assert said == refused
index.close()

index = after_a_failure()
said = upsert(index, "a", "rivers")
print("upsert of a, which is there:", said, "- left:", texts(index))
assert said == refused
assert "a" not in texts(index)

index = after_a_failure()
assert upsert(index, "c", "lost") == upsert(index, "d", "rivers") == "done"
print("upsert of c again, then of d: done, nearest:", index.search("lost", 1)[0]["text"])
assert index.search("lost", 1)[0]["text"] == "lost"
PY
