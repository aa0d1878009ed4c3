"""A tiny random checkpoint, written without torch; trained ones lose as little in int8."""

import json
from pathlib import Path
from string import ascii_lowercase, digits, punctuation

import numpy as np

from minilm_onnx.measure.sample import sample_texts

WIDTH, LAYERS, HEADS, WIDE, POSITIONS = 64, 2, 4, 128, 64
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
CARD = "---\nlicense: apache-2.0\nlanguage: en\n---\n# A tiny model\n"


def write_tiny(folder: Path) -> Path:
    """Write a sentence-transformers folder of a BERT whose layers change little."""
    from safetensors.numpy import save_file

    from minilm_onnx.making.tokenizer import build_tokenizer

    letters = [*ascii_lowercase, *digits]
    words = sorted({word for text in sample_texts(200) for word in text.split() if word.isalpha()})
    vocabulary = [*SPECIAL, *punctuation, *letters, *(f"##{one}" for one in letters)]
    vocabulary += [word for word in words if word.islower() and word.isascii() and len(word) > 1]
    (folder / "1_Pooling").mkdir(parents=True)
    (folder / "vocab.txt").write_text("".join(f"{word}\n" for word in vocabulary), "utf-8")
    build_tokenizer(folder / "vocab.txt").save(str(folder / "tokenizer.json"))
    save_file(_tensors(len(vocabulary)), folder / "model.safetensors")
    files = {
        "config.json": {
            "model_type": "bert",
            "hidden_act": "gelu",
            "hidden_size": WIDTH,
            "intermediate_size": WIDE,
            "layer_norm_eps": 1e-12,
            "max_position_embeddings": POSITIONS,
            "num_attention_heads": HEADS,
            "num_hidden_layers": LAYERS,
            "pad_token_id": 0,
            "type_vocab_size": 2,
            "vocab_size": len(vocabulary),
        },
        "modules.json": [
            {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
            {
                "idx": 1,
                "name": "1",
                "path": "1_Pooling",
                "type": "sentence_transformers.models.Pooling",
            },
            {
                "idx": 2,
                "name": "2",
                "path": "2_Normalize",
                "type": "sentence_transformers.models.Normalize",
            },
        ],
        "1_Pooling/config.json": {
            "word_embedding_dimension": WIDTH,
            "pooling_mode_mean_tokens": True,
        },
        "sentence_bert_config.json": {"max_seq_length": 48, "do_lower_case": False},
        "config_sentence_transformers.json": {"prompts": {"query": "find: "}},
        "tokenizer_config.json": {"tokenizer_class": "BertTokenizer", "unk_token": "[UNK]"},
    }
    for name, fields in files.items():
        (folder / name).write_text(json.dumps(fields), "utf-8")
    (folder / "README.md").write_text(CARD, "utf-8")
    return folder


def _tensors(words: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)

    def draw(scale: float, *shape: int) -> np.ndarray:
        return random.normal(0, scale, shape).astype(np.float32)

    tensors = {
        "embeddings.word_embeddings.weight": draw(1, words, WIDTH),
        "embeddings.position_embeddings.weight": draw(0.1, POSITIONS, WIDTH),
        "embeddings.token_type_embeddings.weight": draw(0.1, 2, WIDTH),
    }
    norms = ["embeddings.LayerNorm"]
    shapes: dict[str, tuple[int, int]] = {}
    for layer in range(LAYERS):
        at = f"encoder.layer.{layer}"
        norms += [f"{at}.attention.output.LayerNorm", f"{at}.output.LayerNorm"]
        shapes |= {
            f"{at}.attention.{part}": (WIDTH, WIDTH)
            for part in ("self.query", "self.key", "self.value", "output.dense")
        }
        shapes |= {f"{at}.intermediate.dense": (WIDE, WIDTH), f"{at}.output.dense": (WIDTH, WIDE)}
    for name, shape in shapes.items():
        tensors |= {f"{name}.weight": draw(0.05, *shape), f"{name}.bias": draw(0.05, shape[0])}
    for name in norms:
        tensors |= {f"{name}.weight": 1 + draw(0.05, WIDTH), f"{name}.bias": draw(0.05, WIDTH)}
    return tensors
