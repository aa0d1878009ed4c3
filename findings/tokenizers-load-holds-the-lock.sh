#!/usr/bin/env bash
# tokenizers 0.22.2 (PyPI): Tokenizer.from_file keeps the interpreter's lock while it reads and builds a vocabulary, so
# every other thread of the process stands still, in one stretch for most of the call. encode_batch of the same package
# releases it, and onnxruntime 1.32.0 releases it while a session is made, so one would expect it of the loader too.
#
# It matters to servers that load or reload a model on a thread: requests, health checks and event loops wait as long.
# It matters to cold starts as well: what is to be done beside the tokenizer cannot begin until it is there.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet tokenizers==0.22.2 onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
cat > wait.py << 'PYTHON'
import statistics
import threading
import time

import onnx
import onnxruntime
from onnx import TensorProto, helper
from tokenizers import Tokenizer, models

WORDS, NODES = 300_000, 6_000
vocabulary = {f"word{number}": number for number in range(WORDS)} | {"[UNK]": WORDS}
Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]")).save("tokenizer.json")
nodes = [helper.make_node("Add", [f"x{i}", f"x{max(i - 1, 0)}"], [f"x{i + 1}"]) for i in range(NODES)]
ends = [helper.make_tensor_value_info(f"x{i}", TensorProto.FLOAT, [1]) for i in (0, NODES)]
graph = helper.make_graph(nodes, "chain", ends[:1], ends[1:])
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), "chain.onnx")


def longest_wait(call):
    """Give how long another thread waited at a time, at most, as a share of the call."""
    seen, ended = [], threading.Event()

    def look():
        while not ended.wait(0.0005):
            seen.append(time.perf_counter())

    other = threading.Thread(target=look)
    other.start()
    while not seen:
        pass
    start = time.perf_counter()
    call()
    end = time.perf_counter()
    ended.set()
    other.join()
    times = [start, *(one for one in seen if start < one < end), end]
    return max(after - before for before, after in zip(times, times[1:])) / (end - start)


tokenizer = Tokenizer.from_file("tokenizer.json")
texts = ["word1 word2 " * 2000] * 300
calls = {
    "Tokenizer.from_file": lambda: Tokenizer.from_file("tokenizer.json"),
    "encode_batch": lambda: tokenizer.encode_batch(texts),
    "InferenceSession": lambda: onnxruntime.InferenceSession("chain.onnx", providers=["CPUExecutionProvider"]),
}
waits = {name: statistics.median(longest_wait(call) for _ in range(7)) for name, call in calls.items()}
for name, share in waits.items():
    print(f"{name}: another thread waits for {share:.0%} of the call in one stretch")
assert waits["Tokenizer.from_file"] > 0.5
assert waits["encode_batch"] < 0.3 and waits["InferenceSession"] < 0.3
PYTHON
venv/bin/python wait.py
