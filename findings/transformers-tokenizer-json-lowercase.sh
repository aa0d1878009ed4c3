#!/usr/bin/env bash
# transformers 4.57.6: AutoTokenizer reads tokenizer.json, but for BERT it does not use it as it is. Where
# tokenizer_config.json says nothing of do_lower_case, a default of True counts, and the normalizer in tokenizer.json,
# which keeps case, is replaced by one that lowercases. So one folder gives other token ids in transformers than in
# tokenizers.Tokenizer.from_file and in whatever else reads tokenizer.json alone. With tokenizer_class
# PreTrainedTokenizerFast, the same folder gives the ids of tokenizer.json. Nothing is logged.
# One would expect tokenizer.json, which is complete, to win over a field that is missing.
#
# It matters to whoever loads a model without transformers: reading tokenizer.json faithfully is not enough to have the
# vectors of sentence-transformers. Compare the normalizer with tokenizer_config.json, and refuse what does not agree.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet transformers==4.57.6 tokenizers==0.22.2
venv/bin/python - 2> said.txt << 'PY'
import json
from pathlib import Path

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import AutoTokenizer

vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "Paris", "paris", "bank", "Bank"]
cased = Tokenizer(models.WordPiece({word: place for place, word in enumerate(vocabulary)}, unk_token="[UNK]"))
cased.normalizer = normalizers.BertNormalizer(lowercase=False)
cased.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
Path("model").mkdir()
cased.save("model/tokenizer.json")
Path("model/config.json").write_text(json.dumps({"model_type": "bert"}))


def words(**said):
    """Give what transformers makes of a text where tokenizer_config.json says so."""
    Path("model/tokenizer_config.json").write_text(json.dumps(said))
    loaded = AutoTokenizer.from_pretrained("model")
    return type(loaded).__name__, loaded.convert_ids_to_tokens(loaded("Paris Bank", add_special_tokens=False)["input_ids"])


own = Tokenizer.from_file("model/tokenizer.json").encode("Paris Bank", add_special_tokens=False).tokens
_, silent = words(tokenizer_class="BertTokenizer")
_, told = words(tokenizer_class="BertTokenizer", do_lower_case=False)
_, plain = words(tokenizer_class="PreTrainedTokenizerFast", unk_token="[UNK]")
print(f"tokenizers: {own}; transformers: {silent}, with do_lower_case false {told}, of no class of BERT's {plain}")
assert own == told == plain == ["Paris", "Bank"]
assert silent == ["paris", "bank"]
PY
if grep -i "lower\|normali" said.txt; then exit 1; fi
