#!/usr/bin/env bash
# semantic-text-splitter 0.33.1 with a tokenizer (tokenizers 0.23.3) whose own settings truncate: as soon as the capacity is
# the truncation's length or more, a text of any length is one chunk. It counts a candidate's tokens with the tokenizer as
# it is, so that every candidate has few enough. Below that length chunks are right.
# One would expect a splitter to count all tokens of a text, as it does where nothing is truncated.
#
# It matters since tokenizer.json of sentence-transformers' models has such settings: all-MiniLM-L6-v2's truncates at 128,
# while the model reads 256. Whoever splits for the model's own limit gets whole documents back, of which the model then
# reads the beginning. tokenizer.no_truncation() before is the remedy.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet semantic-text-splitter==0.33.1 tokenizers==0.23.3
venv/bin/python - << 'PY'
from semantic_text_splitter import TextSplitter
from tokenizers import Tokenizer, models, pre_tokenizers

TEXT = " ".join(["word"] * 1000)


def words_per_chunk(tokenizer, capacity):
    chunks = TextSplitter.from_huggingface_tokenizer(tokenizer, capacity).chunks(TEXT)
    return [len(chunk.split()) for chunk in chunks]


tokenizer = Tokenizer(models.WordLevel({"word": 0, "[UNK]": 1}, unk_token="[UNK]"))
tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
seen = {("none", 256): words_per_chunk(tokenizer, 256)}
tokenizer.enable_truncation(128)
for capacity in (100, 127, 128, 256):
    seen["128", capacity] = words_per_chunk(tokenizer, capacity)
tokenizer.no_truncation()
seen["taken off", 256] = words_per_chunk(tokenizer, 256)
for (truncation, capacity), words in seen.items():
    print(f"truncation {truncation:9}, capacity {capacity}: {len(words):2} chunks, {max(words):4} words at most")

assert max(seen["none", 256]) == 256 == max(seen["taken off", 256])
assert max(seen["128", 100]) == 100 and max(seen["128", 127]) == 127
assert seen["128", 128] == seen["128", 256] == [1000]
PY
