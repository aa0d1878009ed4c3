"""Tiny random checkpoints of every architecture, exported and compared.

Imports torch: for tests that have asked whether it is there.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Transformer
from sentence_transformers.sentence_transformer.modules import Dense, Normalize, Pooling
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

from export.__main__ import main
from minilm_onnx import MiniLMError, SentenceEncoder
from minilm_onnx.cli import main as minilm_onnx
from minilm_onnx.folder.layout import GOLDEN, MANIFEST
from minilm_onnx.measure.sample import sample_texts
from minilm_onnx.verify.golden import read_golden

# Of a file whose tests export these.
MARKS = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("default", "ignore:.*mostly unknown to the model"),
    pytest.mark.usefixtures("few_texts"),
]
TEXTS = [*sample_texts(300), "Ein Häuschen am Fluß", "猫在睡觉", "", "  two  spaces ", "ÀÉÎ naïve"]
# Spelled out, it takes no position in RoBERTa and MPNet.
TEXTS += ["a cat <pad> and <pad><pad> a dog", "a [PAD] b [PAD][PAD] c"]
WIDTH, LAYERS, HEADS, POSITIONS = 32, 2, 2, 64
ROBERTA_TOKENS = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
SIZES: dict[str, Any] = {
    "hidden_size": WIDTH,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "intermediate_size": 96,
    "initializer_range": 0.3,
    "layer_norm_eps": 0.05,
}


def wordpiece(lowercase: bool, order: str = "PAD UNK CLS SEP MASK") -> Any:
    made = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = [f"[{name}]" for name in order.split()]
    made.train_from_iterator(
        TEXTS[:250], trainers.WordPieceTrainer(vocab_size=400, special_tokens=special)
    )
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        special_tokens=[(token, special.index(token)) for token in ("[CLS]", "[SEP]")],
    )
    return wrap(made, {name: f"[{name.upper()}]" for name in order.lower().split()})


def mpnets() -> Any:
    """WordPiece, whose padding is 1, as MPNet's code has it."""
    return wordpiece(True, "CLS PAD SEP UNK MASK")


def unigram() -> Any:
    """As XLM-R's: SentencePiece, with a mark for spaces."""
    made = Tokenizer(models.Unigram())
    made.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Replace("  ", " "), normalizers.Strip()]
    )
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.train_from_iterator(
        TEXTS[:250],
        trainers.UnigramTrainer(vocab_size=300, special_tokens=ROBERTA_TOKENS, unk_token="<unk>"),
    )
    return wrap_roberta(made)


def bytes_bpe() -> Any:
    """As RoBERTa's: pairs of bytes."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.train_from_iterator(
        TEXTS[:250],
        trainers.BpeTrainer(
            vocab_size=500,
            special_tokens=ROBERTA_TOKENS,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        ),
    )
    return wrap_roberta(made)


def wrap_roberta(made: Tokenizer) -> Any:
    made.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    names = {"cls": "<s>", "pad": "<pad>", "sep": "</s>", "unk": "<unk>", "mask": "<mask>"}
    return wrap(made, names)


def wrap(made: Tokenizer, names: dict[str, str]) -> Any:
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=made,
        model_input_names=["input_ids", "attention_mask"],
        **{f"{key}_token": token for key, token in names.items()},
    )


def network(kind: str, tokenizer: Any) -> Any:
    """A random encoder of an architecture."""
    torch.manual_seed(0)
    common = SIZES | {"vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id}
    behind = {"max_position_embeddings": POSITIONS + tokenizer.pad_token_id + 1}
    if kind == "bert":
        config = transformers.BertConfig(**common, max_position_embeddings=POSITIONS)
        return transformers.BertModel(config)
    if kind == "distilbert":
        config = transformers.DistilBertConfig(
            vocab_size=len(tokenizer),
            pad_token_id=tokenizer.pad_token_id,
            dim=WIDTH,
            n_layers=LAYERS,
            n_heads=HEADS,
            hidden_dim=96,
            initializer_range=0.3,
            max_position_embeddings=POSITIONS,
        )
        return transformers.DistilBertModel(config)
    if kind == "mpnet":
        return transformers.MPNetModel(transformers.MPNetConfig(**common, **behind))
    if kind == "roberta":
        config = transformers.RobertaConfig(**common, **behind, type_vocab_size=1)
        return transformers.RobertaModel(config)
    config = transformers.XLMRobertaConfig(**common, **behind, type_vocab_size=1)
    return transformers.XLMRobertaModel(config)


def dense(inner: int, outer: int, activation: Any, bias: bool = True) -> Any:
    torch.manual_seed(1)
    return Dense(inner, outer, bias=bias, activation_function=activation)


def make(
    folder: Path,
    kind: str,
    tokenizer: Any,
    *,
    pooling: Any = "mean",
    normalize: bool = True,
    lower: bool = False,
    limit: int = 48,
    dense: tuple[Any, ...] = (),
    more: tuple[Any, ...] = (),
    **options: Any,
) -> Path:
    """Write a sentence-transformers folder of a random model."""
    base = folder / "base"
    network(kind, tokenizer).eval().save_pretrained(base)
    tokenizer.save_pretrained(base)
    transformer = Transformer(str(base), max_seq_length=limit, do_lower_case=lower)
    normal = [Normalize()] if normalize else []
    modules = [transformer, Pooling(WIDTH, pooling), *dense, *normal, *more]
    out = folder / "checkpoint"
    SentenceTransformer(modules=modules, device="cpu", **options).save(str(out))
    card = "---\nlicense: apache-2.0\nlanguage:\n- de\n- en\n---\n# A tiny model\n"
    (out / "README.md").write_text(card, "utf-8")
    return out


def change(path: Path, fields: dict[str, Any]) -> None:
    said = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(said | fields))


def exported(checkpoint: Path, *options: str) -> SentenceEncoder:
    """Export it in the maintainer's way, and without torch: the same bytes, or both refuse."""
    out, other = checkpoint.parent / "out", checkpoint.parent / "without-torch"
    options = ("--name", "tiny", "--license", "MIT", "--precision", "fp32", *options)
    alone = ["export", str(checkpoint), "--out", str(other), *options]
    try:
        assert main(["--out", str(out), "--model", str(checkpoint), *options]) == 0
    except MiniLMError:
        assert minilm_onnx(alone) != 0
        assert not other.exists()
        raise
    assert minilm_onnx(alone) == 0
    same_folders(other, out)
    return SentenceEncoder(out)


def same_folders(found: Path, expected: Path) -> None:
    """Two folders differ in no byte, but for what judged them, and its values to 1e-5."""
    names = {path.name for path in expected.iterdir()}
    assert {path.name for path in found.iterdir()} == names
    for name in names - {GOLDEN, MANIFEST}:
        assert (found / name).read_bytes() == (expected / name).read_bytes(), name
    said, wanted = (json.loads((folder / MANIFEST).read_bytes()) for folder in (found, expected))
    assert said["files"].pop(GOLDEN) != "" != wanted["files"].pop(GOLDEN)
    for judged in ("versions", "parity", "kinds"):
        assert said.pop(judged).keys() <= wanted.pop(judged).keys()
    assert said == wanted
    golden, reference = (read_golden(one, wanted["dimension"]) for one in (found, expected))
    assert (golden.texts, golden.ids) == (reference.texts, reference.ids)
    lengths = np.linalg.norm(reference.vectors, axis=1, keepdims=True)
    np.testing.assert_allclose(golden.vectors / lengths, reference.vectors / lengths, atol=1e-5)


def check(encoder: SentenceEncoder, checkpoint: Path) -> None:
    """All vectors are sentence-transformers' to 1e-5 of their length, and depend on nothing."""
    model = SentenceTransformer(str(checkpoint), device="cpu")
    expected = np.stack([model.encode(text) for text in TEXTS])
    found = encoder.encode(TEXTS)
    lengths = np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(found / lengths, expected / lengths, atol=1e-5)
    unit = encoder.encode(TEXTS, normalize_embeddings=True)
    np.testing.assert_allclose(unit, expected / lengths, atol=1e-5)
    assert np.array_equal(encoder.encode(TEXTS[::-1], batch_size=3)[::-1], found)
    assert np.array_equal(encoder.encode(TEXTS[3]), found[3])
    assert encoder.prompts == model.prompts
    assert encoder.default_prompt_name == model.default_prompt_name
    assert encoder.similarity_fn_name == model.similarity_fn_name
    assert encoder.max_seq_length == model.max_seq_length
    assert encoder.get_embedding_dimension() == model.get_embedding_dimension()
