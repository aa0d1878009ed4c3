#!/usr/bin/env bash
# txtai-minimal 9.14.0 (also the module of txtai 9.14.0), vectors method "onnx": texts of a batch are padded to the
# longest one, also for a model that takes no attention_mask, which is then left out without a word. Such a model
# cannot tell padding from text, so the vector of a text depends on the texts beside it.
# Guess before it was run: it refuses a model without attention_mask, or runs its texts one by one.
# One would expect the same vector for the same text, since a search compares one question, embedded alone, with
# texts that were embedded in batches.
#
# It matters to whoever exports a graph without a mask (for texts one by one, or of equal length) and indexes with it:
# nothing fails, and the shorter texts of each batch are found badly. Give txtai such a model by a backend of your own.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet txtai-minimal==9.14.0 numpy==2.4.6 huggingface-hub==2.4.0 onnx==1.23.2 \
    onnxruntime==1.32.0 pyyaml==6.0.4 tokenizers==0.23.3
venv/bin/python - << 'PY'
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, pre_tokenizers
from txtai import Embeddings

WORDS = ["[PAD]", "[UNK]", "cat", "bread", "trains", "rivers"]
table = np.random.default_rng(0).standard_normal((len(WORDS), 16)).astype(np.float32)
nodes = [
    helper.make_node("Gather", ["table", "input_ids"], ["hidden"]),
    helper.make_node("ReduceMean", ["hidden", "axis"], ["vector"], keepdims=0),
]
graph = helper.make_graph(
    nodes,
    "mean",
    [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["B", "T"])],
    [helper.make_tensor_value_info("vector", TensorProto.FLOAT, ["B", 16])],
    [numpy_helper.from_array(table, "table"), numpy_helper.from_array(np.array([1]), "axis")],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
onnx.checker.check_model(model, full_check=True)
onnx.save(model, "model.onnx")
tokenizer = Tokenizer(models.WordLevel({word: n for n, word in enumerate(WORDS)}, "[UNK]"))
tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
tokenizer.save("tokenizer.json")

embeddings = Embeddings(method="onnx", path="model.onnx", gpu=False)
alone = embeddings.batchtransform(["cat"])[0]
equal = embeddings.batchtransform(["cat", "bread"])[0]
longer = embeddings.batchtransform(["cat", "bread trains rivers bread trains rivers"])[0]
print(f"cosine of 'cat' alone to itself beside a text as long: {alone @ equal:.3f}")
print(f"cosine of 'cat' alone to itself beside a longer text:  {alone @ longer:.3f}")
assert np.allclose(alone, table[2] / np.linalg.norm(table[2]), atol=1e-6)
assert np.isclose(alone @ equal, 1, atol=1e-6)
assert alone @ longer < 0.9
PY
