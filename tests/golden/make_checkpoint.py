"""Make a tiny checkpoint as the installed versions save one.

python -m tests.golden.make_checkpoint needs sentence-transformers alone, of any version from 5.4.
It writes the folder checkpoints/VERSION beside it, of random weights, and checkpoints/VERSION.json
with what that version says of some texts.
"""

import json
import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path
from string import ascii_lowercase

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Transformer
from sentence_transformers.sentence_transformer.modules import Dense, Normalize, Pooling
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

FOLDER = Path(__file__).parent / "checkpoints"
TEXTS = ["abc def", "a", "", "the quick brown fox jumps over the lazy dog again", "Xyz  Q", "42 %"]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WIDTH, OUT, LIMIT, POSITIONS = 8, 4, 16, 32


def main() -> None:
    """Write both."""
    words = [*SPECIAL, *ascii_lowercase, *(f"##{letter}" for letter in ascii_lowercase)]
    ids = {word: place for place, word in enumerate(words)}
    backend = Tokenizer(models.WordPiece(ids, unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer(lowercase=True)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        special_tokens=[(token, ids[token]) for token in ("[CLS]", "[SEP]")],
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        model_input_names=["input_ids", "attention_mask"],
        **{f"{token[1:-1].lower()}_token": token for token in SPECIAL},
    )
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=WIDTH,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=POSITIONS,
        initializer_range=0.3,
        pad_token_id=0,
    )
    found = version("sentence-transformers")
    out = FOLDER / found
    with tempfile.TemporaryDirectory() as scratch:
        BertModel(config).eval().save_pretrained(scratch)
        tokenizer.save_pretrained(scratch)
        transformer = Transformer(scratch, max_seq_length=LIMIT)
        dense = Dense(WIDTH, OUT, activation_function=torch.nn.Tanh())
        modules = [transformer, Pooling(WIDTH, "mean"), dense, Normalize()]
        shutil.rmtree(out, ignore_errors=True)
        SentenceTransformer(modules=modules, device="cpu").save(str(out))
    (out / "README.md").unlink()  # a model card, which names the folder it was made in
    model = SentenceTransformer(str(out), device="cpu")
    said = {
        "transformers": version("transformers"),
        "max_seq_length": model.max_seq_length,
        "vectors": {text: [round(float(x), 9) for x in model.encode(text)] for text in TEXTS},
    }
    (FOLDER / f"{found}.json").write_text(json.dumps(said, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
