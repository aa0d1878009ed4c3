#!/usr/bin/env bash
# libembedding-ng 1.11.0 (embeddings from C, with onnxruntime inside): its own BERT tokenizer does not give the
# tokens of tokenizers 0.23.3 for scripts other than Latin, even if the vocabulary has them. A Cyrillic word that is
# a token becomes [UNK]; a letter with a mark keeps the mark; a Hangul syllable is not split in its letters. Latin
# letters with an accent are right. Nothing warns: with a model of many scripts the vectors are wrong, with
# all-MiniLM-L6-v2 those of Russian or Korean texts have a cosine of 0.2 to 0.4 to what the model gives.
#
# Guess before it was run: all tokens are equal, since the folder has the tokenizer.json that says how to.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet libembedding-ng==1.11.0 onnx==1.23.2 tokenizers==0.23.3 numpy==2.4.6
cat > "$folder/run.py" <<'PY'
import json
import sys
from pathlib import Path

import numpy as np
import onnx
from libembedding import TextEmbedding
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

model = Path(sys.argv[1])
model.mkdir()
# Special tokens have the ids of BERT's vocabulary.
tokens = ["[PAD]", *(f"[unused{n}]" for n in range(99)), "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
tokens += ["cat", "e", "кот", "и", "й", "고", "ᄀ", "##ᅩ"]
(model / "vocab.txt").write_text("\n".join(tokens) + "\n", "utf-8")
expected = Tokenizer(models.WordPiece({t: i for i, t in enumerate(tokens)}, unk_token="[UNK]"))
expected.normalizer = normalizers.BertNormalizer()
expected.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
expected.post_processor = processors.BertProcessing(("[SEP]", 102), ("[CLS]", 101))
expected.save(str(model / "tokenizer.json"))
(model / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": True}))
size = len(tokens)
config = {"model_type": "bert", "hidden_size": size, "vocab_size": size, "max_position_embeddings": 64}
(model / "config.json").write_text(json.dumps(config))
# A model whose vectors say which tokens it was given: one number for each.
inputs = [
    helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "tokens"])
    for name in ("input_ids", "attention_mask", "token_type_ids")
]
output = helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, ["batch", "tokens", size])
table = numpy_helper.from_array(np.eye(size, dtype=np.float32), "table")
node = helper.make_node("Gather", ["table", "input_ids"], ["last_hidden_state"])
graph = helper.make_graph([node], "tokens", inputs, [output], [table])
made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
onnx.save(made, str(model / "model.onnx"))

embedding = TextEmbedding(str(model), threads=1, pooling="mean", offline=True)
seen = {}
for text in ("cat", "Cat", "é", "кот", "й", "고"):
    vector = np.asarray(embedding.embed([text], batch_size=1))[0]
    seen[text] = {tokens[place] for place in np.flatnonzero(vector > 1e-6)} - {"[CLS]", "[SEP]"}
    right = set(expected.encode(text, add_special_tokens=False).tokens)
    print(f"{text}: libembedding-ng reads {sorted(seen[text])}, tokenizers {sorted(right)}")
    assert (seen[text] == right) == (text in ("cat", "Cat", "é"))
assert seen["кот"] == {"[UNK]"}
assert seen["й"] == {"й"}
assert seen["고"] == {"고"}
PY
"$folder/venv/bin/python" "$folder/run.py" "$folder/model"
