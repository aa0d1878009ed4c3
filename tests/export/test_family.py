"""Models of other architectures: tiny random ones, exported, against sentence-transformers."""

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minilm_onnx import ArtifactError, InputError, SentenceEncoder
from minilm_onnx.cli import main as minilm_onnx
from minilm_onnx.measure.sample import sample_texts
from minilm_onnx.text import pieces
from minilm_onnx.vectors.pooling import l2_normalize
from minilm_onnx.verify import verification

for name in ("onnx", "scipy", "sentence_transformers", "transformers"):
    pytest.importorskip(name, reason=f"{name} of export/requirements.txt is not installed")

import torch
import transformers
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Transformer
from sentence_transformers.sentence_transformer.modules import Dense, Normalize, Pooling
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

from export import gate
from export.__main__ import main
from export.checkpoint import find_checkpoint
from export.corpus import calibration_ids, read_split
from export.graph import build_fp32
from export.steps import read_model

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("default", "ignore:.*mostly unknown to the model"),
]

TEXTS = [*sample_texts(300), "Ein Häuschen am Fluß", "猫在睡觉", "", "  two  spaces ", "ÀÉÎ naïve"]
# Spelled out, it takes no position in RoBERTa and MPNet.
TEXTS += ["a cat <pad> and <pad><pad> a dog", "a [PAD] b [PAD][PAD] c"]
WIDTH, LAYERS, HEADS, POSITIONS = 32, 2, 4, 64
SIZES: dict[str, Any] = {
    "hidden_size": WIDTH,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "intermediate_size": 96,
    "initializer_range": 0.3,
    "layer_norm_eps": 0.05,
}


@pytest.fixture(autouse=True)
def few_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let export judge a quarter of the held-out texts: the tests compare all of their own."""

    def quarter(texts: Path | None) -> tuple[list[str], list[str]]:
        calibration, held_out = read_split(texts)
        return calibration, held_out if texts is not None else held_out[::4]

    monkeypatch.setattr("export.steps.read_split", quarter)


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
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    made.train_from_iterator(
        TEXTS[:250],
        trainers.UnigramTrainer(vocab_size=300, special_tokens=special, unk_token="<unk>"),
    )
    made.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    names = {"cls": "<s>", "pad": "<pad>", "sep": "</s>", "unk": "<unk>", "mask": "<mask>"}
    return wrap(made, names)


def bytes_bpe() -> Any:
    """As RoBERTa's: pairs of bytes."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    made.train_from_iterator(
        TEXTS[:250],
        trainers.BpeTrainer(
            vocab_size=500,
            special_tokens=special,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        ),
    )
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


def exported(checkpoint: Path, *options: str) -> SentenceEncoder:
    out = checkpoint.parent / "out"
    arguments = ["--model", str(checkpoint), "--name", "tiny", "--license", "MIT", *options]
    assert main(["--out", str(out), "--precision", "fp32", *arguments]) == 0
    return SentenceEncoder(out)


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


@pytest.mark.parametrize(
    ("kind", "tokenizer"),
    [
        ("bert", lambda: wordpiece(True)),
        ("bert", unigram),
        ("distilbert", lambda: wordpiece(False)),
        ("mpnet", mpnets),
        ("roberta", bytes_bpe),
        ("xlm-roberta", unigram),
    ],
)
def test_every_architecture(tmp_path: Path, kind: str, tokenizer: Any) -> None:
    checkpoint = make(tmp_path, kind, tokenizer())
    encoder = exported(checkpoint)
    check(encoder, checkpoint)
    assert encoder.manifest is not None
    assert encoder.manifest.architecture == kind
    assert (encoder.manifest.model_id, encoder.manifest.license) == ("tiny", "MIT")
    assert encoder.manifest.languages == "de, en"


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize(
    "pooling",
    ["cls", "max", "mean_sqrt_len_tokens", "weightedmean", "lasttoken", ("max", "mean")],
)
def test_every_pooling(tmp_path: Path, pooling: Any, normalize: bool) -> None:
    checkpoint = make(tmp_path, "bert", wordpiece(True), pooling=pooling, normalize=normalize)
    check(exported(checkpoint), checkpoint)


def dense(inner: int, outer: int, activation: Any, bias: bool = True) -> Any:
    torch.manual_seed(1)
    return Dense(inner, outer, bias=bias, activation_function=activation)


def test_a_long_text_is_not_cut_within_a_token(tmp_path: Path) -> None:
    """It is tokenised in pieces, of which none may end in the middle of <mask>."""
    tokenizer = mpnets()
    tokenizer.add_tokens(["<mask>", "C++"])
    encoder = exported(make(tmp_path, "mpnet", tokenizer))
    for token in ("<mask>", "C++"):
        for spare in range(len(token)):
            text = "a" * (pieces.PIECE - spare) + f"{token} b " * 200
            (found,) = pieces.whole_ids(encoder.tokenizer, [text])
            assert found.tolist() == encoder.tokenizer.encode(text).ids


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize(
    "layers",
    [
        lambda: (dense(WIDTH, 24, torch.nn.Tanh()),),
        lambda: (dense(WIDTH, 64, torch.nn.Identity(), bias=False), dense(64, 12, None)),
    ],
    ids=["tanh", "two"],
)
def test_linear_maps_after_pooling(tmp_path: Path, layers: Any, normalize: bool) -> None:
    checkpoint = make(tmp_path, "bert", wordpiece(True), dense=layers(), normalize=normalize)
    encoder = exported(checkpoint)
    check(encoder, checkpoint)
    assert encoder.manifest is not None
    assert encoder.manifest.made_of == "bert, pooled by mean, then linear maps"
    long = " ".join(TEXTS)
    window = encoder.encode(long, overflow="window")
    assert window.shape == (encoder.dimension,)
    states = encoder.encode(TEXTS[0], output_value="token_embeddings")
    assert states.shape[1] == WIDTH
    with (encoder.folder / "dense.npz").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"x")
    with pytest.raises(ArtifactError, match=r"dense\.npz: expected sha256"):
        SentenceEncoder(encoder.folder)


def test_windows_are_averaged_before_linear_maps(tmp_path: Path) -> None:
    """As if the whole text had been pooled at once."""
    tokenizer = wordpiece(True)
    plain = exported(make(tmp_path, "bert", tokenizer, normalize=False))
    layer = dense(WIDTH, 24, torch.nn.Tanh())
    other = tmp_path / "other"
    other.mkdir()
    checkpoint = make(other, "bert", tokenizer, normalize=False, dense=(layer,))
    long = " ".join(TEXTS[:60])
    pooled = torch.from_numpy(plain.encode(long, overflow="window"))
    expected = layer({"sentence_embedding": pooled})["sentence_embedding"].detach().numpy()
    found = exported(checkpoint).encode(long, overflow="window")
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("change_it", "words"),
    [
        (lambda folder: (folder / "model.safetensors").unlink(), "pickles are not read"),
        (
            lambda folder: change(
                folder / "config.json", {"activation_function": "torch.nn.modules.loss.MSELoss"}
            ),
            "activation_function = torch.nn.modules.loss.MSELoss",
        ),
        (
            lambda folder: change(
                folder / "config.json", {"module_input_name": "token_embeddings"}
            ),
            "module_input_name = token_embeddings",
        ),
    ],
)
def test_maps_that_are_not_known_are_refused(tmp_path: Path, change_it: Any, words: str) -> None:
    layers = (dense(WIDTH, 24, torch.nn.Tanh()),)
    checkpoint = make(tmp_path, "bert", wordpiece(True), dense=layers)
    change_it(checkpoint / "2_Dense")
    with pytest.raises(ArtifactError, match=words):
        exported(checkpoint)


def test_prompts_measure_and_lower_case_are_read(tmp_path: Path) -> None:
    checkpoint = make(
        tmp_path,
        "bert",
        wordpiece(False),
        lower=True,
        normalize=False,
        prompts={"query": "question: ", "passage": "text: "},
        default_prompt_name="passage",
        similarity_fn_name="dot",
    )
    encoder = exported(checkpoint)
    check(encoder, checkpoint)
    model = SentenceTransformer(str(checkpoint), device="cpu")
    for method in ("encode_query", "encode_document"):
        expected = getattr(model, method)(TEXTS[:20])
        np.testing.assert_allclose(
            getattr(encoder, method)(TEXTS[:20]), expected, rtol=1e-5, atol=1e-4
        )
    unit, _ = encoder.embed_texts(TEXTS[:3])
    assert np.array_equal(unit, l2_normalize(encoder.encode(TEXTS[:3])))
    encoder.max_seq_length = POSITIONS
    with pytest.raises(InputError, match="max_seq_length"):
        encoder.max_seq_length = POSITIONS + 1


def test_commands_run_with_a_model_of_ones_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    encoder = exported(make(tmp_path, "mpnet", mpnets(), normalize=False))
    model = ["--model", str(encoder.folder)]
    texts = tmp_path / "texts.txt"
    texts.write_text("a cat\na dog\na car\n", "utf-8")
    capsys.readouterr()
    assert minilm_onnx(["embed", str(texts), "--out", str(tmp_path / "v.npy"), *model]) == 0
    unit = encoder.encode(["a cat", "a dog", "a car"], normalize_embeddings=True)
    assert np.array_equal(np.load(tmp_path / "v.npy"), unit)
    assert minilm_onnx(["similarity", "a cat", "a dog", *model]) == 0
    assert minilm_onnx(["verify", "--json", *model]) == 0
    checks = json.loads(capsys.readouterr().out.partition("\n")[2])["checks"]
    assert {check["name"]: check["ok"] for check in checks}["vectors"]
    assert minilm_onnx(["info", *model]) == 0
    assert "mpnet" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["bert", "mpnet"])
def test_int8_of_ones_own_texts(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Random weights have no redundancy to lose; what int8 costs a trained model is another matter.
    for module, mean, least in (
        (gate, "MIN_MEAN_COSINE", "MIN_COSINE"),
        (verification, "MEAN_COSINE", "MIN_COSINE"),
    ):
        monkeypatch.setattr(module, mean, 0.99)
        monkeypatch.setattr(module, least, 0.95)
    checkpoint = make(tmp_path, kind, mpnets())
    texts = tmp_path / "texts.txt"
    texts.write_text("\n".join(TEXTS[:300]), "utf-8")
    out = tmp_path / "int8"
    arguments = ["--out", str(out), "--model", str(checkpoint), "--name", "tiny"]
    assert main([*arguments, "--calibration", str(texts)]) == 0
    encoder = SentenceEncoder(out)
    assert encoder.manifest is not None
    assert encoder.manifest.precision == "int8"
    assert encoder.manifest.parity["texts"] == 38
    found = encoder.encode(TEXTS)
    assert np.array_equal(encoder.encode(TEXTS[::-1], batch_size=3)[::-1], found)
    monkeypatch.setattr(gate, "MIN_COSINE", 1.1)
    with pytest.raises(gate.ParityError, match="nothing was written"):
        main([*arguments, "--calibration", str(texts)])
    texts.write_text("few\n", "utf-8")
    with pytest.raises(InputError, match="at least 200 texts"):
        main([*arguments, "--calibration", str(texts)])
    with pytest.raises(InputError, match=r"languages \(de, en\) for int8"):
        main(arguments)


def test_what_cannot_be_exported_is_refused_by_name(tmp_path: Path) -> None:
    checkpoint = make(tmp_path, "bert", wordpiece(True), more=(Dense(WIDTH, 16),))
    with pytest.raises(ArtifactError, match="got Transformer, Pooling, Normalize, Dense"):
        exported(checkpoint)
    folder = tmp_path / "other"
    folder.mkdir()
    with pytest.raises(ArtifactError, match="got neither"):
        exported(folder)
    with pytest.raises(InputError, match="a name of your own"):
        main(
            [
                *("--out", str(tmp_path / "out"), "--model", str(checkpoint)),
                *("--name", "sentence-transformers/all-MiniLM-L6-v2"),
            ]
        )
    with pytest.raises(InputError, match="expected a folder with --name"):
        main(["--out", str(tmp_path / "out"), "--model", "some/model", "--name", "mine"])


CODE = "import pathlib\npathlib.Path({ran!r}).touch()\nclass Custom: pass\nPooling = Custom\n"
ROUTER = "sentence_transformers.base.modules.router.Router"


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint that is exported as it is."""
    return make(tmp_path_factory.mktemp("plain"), "bert", wordpiece(True))


def change(path: Path, fields: dict[str, Any]) -> None:
    said = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(said | fields))


@pytest.mark.parametrize(
    "kind", ["custom.Custom", "custom.Pooling", ROUTER, "sentence_transformers.models.BoW"]
)
def test_code_in_a_folder_is_not_run(tmp_path: Path, plain: Path, kind: str) -> None:
    checkpoint = Path(shutil.copytree(plain, tmp_path / "checkpoint"))
    ran = tmp_path / "ran"
    for folder in (checkpoint, checkpoint / "1_Pooling"):
        (folder / "custom.py").write_text(CODE.format(ran=str(ran)))
        routes = {"types": {"a": "custom.Custom"}, "structure": {}}
        change(folder / "router_config.json", routes)
    modules = json.loads((checkpoint / "modules.json").read_text())
    modules[1]["type"] = kind
    (checkpoint / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(ArtifactError, match="code in a folder is not run"):
        exported(checkpoint)
    assert not ran.exists()


@pytest.mark.parametrize(
    ("name", "fields", "words"),
    [
        ("config.json", {"auto_map": {"AutoModel": "custom.Custom"}}, "no auto_map"),
        ("config.json", {"transformers_weights": "x.safetensors"}, "no transformers_weights"),
        ("config.json", {"quantization_config": {"bits": 4}}, "no quantization_config"),
        ("config.json", {"hidden_act": "relu"}, "hidden_act 'gelu'"),
        ("config.json", {"position_embedding_type": "relative_key"}, "position_embedding_type"),
        ("config.json", {"is_decoder": True}, "expected an encoder"),
        ("config.json", {"num_hidden_layers": 3}, "expected all weights"),
        ("config.json", {"pad_token_id": None}, "pad_token_id"),
        ("config.json", {"_attn_implementation": "some/kernel@main"}, "no _attn_implementation"),
        ("config.json", {"attn_implementation": "some/kernel"}, "no attn_implementation"),
        ("config.json", {"chunk_size_feed_forward": 2}, "no chunk_size_feed_forward"),
        ("tokenizer_config.json", {"truncation_side": "left"}, "truncation_side right"),
        ("tokenizer_config.json", {"split_special_tokens": True}, "no split_special_tokens"),
        ("tokenizer_config.json", {"auto_map": {"AutoTokenizer": ["c.C", None]}}, "no auto_map"),
        ("sentence_bert_config.json", {"model_args": {"weights_only": False}}, "model_args"),
        ("sentence_bert_config.json", {"tokenizer_name_or_path": "/x"}, "tokenizer_name"),
        ("sentence_bert_config.json", {"max_seq_length": 2}, "max_seq_length of 3 to 512"),
        ("config_sentence_transformers.json", {"truncate_dim": 16}, "no truncate_dim"),
        ("1_Pooling/config.json", {"include_prompt": False}, "include_prompt=False"),
        ("adapter_config.json", {"peft_type": "LORA"}, "one model.safetensors"),
        ("model.safetensors.index.json", {"weight_map": {}}, "one model.safetensors"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else None,
)
def test_what_is_not_known_is_refused_before_it_does_harm(
    tmp_path: Path, plain: Path, name: str, fields: dict[str, Any], words: str
) -> None:
    checkpoint = Path(shutil.copytree(plain, tmp_path / "checkpoint"))
    change(checkpoint / name, fields)
    with pytest.raises(ArtifactError, match=words):
        exported(checkpoint)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("text", ["5", "[5]", "{}", None])
def test_a_folder_without_a_list_of_modules_is_refused(
    tmp_path: Path, plain: Path, text: str | None
) -> None:
    checkpoint = Path(shutil.copytree(plain, tmp_path / "checkpoint"))
    (checkpoint / "modules.json").unlink()
    if text is not None:
        (checkpoint / "modules.json").write_text(text)
    with pytest.raises(ArtifactError, match=r"modules\.json: expected"):
        exported(checkpoint)


def test_a_transformer_elsewhere_is_refused(tmp_path: Path, plain: Path) -> None:
    checkpoint = Path(shutil.copytree(plain, tmp_path / "checkpoint"))
    modules = json.loads((checkpoint / "modules.json").read_text())
    modules[0]["path"] = "0_Transformer"
    (checkpoint / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(ArtifactError, match="expected the Transformer in the folder itself"):
        exported(checkpoint)


def test_mpnet_with_another_padding_is_refused(tmp_path: Path) -> None:
    checkpoint = make(tmp_path, "mpnet", mpnets())
    change(checkpoint / "config.json", {"pad_token_id": 0})
    with pytest.raises(ArtifactError, match="expected pad_token_id 1"):
        exported(checkpoint)


def test_a_tokenizer_of_more_tokens_than_rows_is_refused(tmp_path: Path, plain: Path) -> None:
    checkpoint = Path(shutil.copytree(plain, tmp_path / "checkpoint"))
    tokenizer = Tokenizer.from_file(str(checkpoint / "tokenizer.json"))
    tokenizer.add_tokens(["unheardof"])
    tokenizer.save(str(checkpoint / "tokenizer.json"))
    with pytest.raises(ArtifactError, match=r"expected a token a row"):
        exported(checkpoint)


def test_padding_of_the_config_takes_no_position_whatever_the_tokenizers(tmp_path: Path) -> None:
    """transformers counts positions by the config's padding, be it an ordinary token."""
    checkpoint = make(tmp_path, "roberta", bytes_bpe())
    change(checkpoint / "config.json", {"pad_token_id": 7})
    encoder = exported(checkpoint)
    check(encoder, checkpoint)
    token = encoder.tokenizer.id_to_token(7)
    text = f"a {token} b {token}{token} c"
    model = SentenceTransformer(str(checkpoint), device="cpu")
    np.testing.assert_allclose(encoder.encode(text), model.encode(text), atol=1e-5)


@pytest.mark.parametrize("limit", [POSITIONS + 2, None])
def test_a_limit_beyond_the_positions_is_that_of_the_positions(
    tmp_path: Path, limit: int | None
) -> None:
    """Where sentence-transformers itself would fail."""
    checkpoint = make(tmp_path, "roberta", bytes_bpe())
    path = checkpoint / "sentence_bert_config.json"
    fields = json.loads(path.read_text())
    fields.pop("max_seq_length", None)
    path.write_text(json.dumps(fields | ({"max_seq_length": limit} if limit else {})))
    change(checkpoint / "tokenizer_config.json", {"model_max_length": 10**30})
    encoder = exported(checkpoint)
    assert encoder.max_seq_length == POSITIONS
    assert encoder.encode(" ".join(TEXTS)).shape == (WIDTH,)


def test_old_names_of_layer_norms_are_read(tmp_path: Path, plain: Path) -> None:
    checkpoint = Path(shutil.copytree(plain, tmp_path / "checkpoint"))
    path = checkpoint / "model.safetensors"
    tensors = load_file(path)
    save_file(
        {
            key.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
                "LayerNorm.bias", "LayerNorm.beta"
            ): value
            for key, value in tensors.items()
        },
        path,
        {"format": "pt"},
    )
    check(exported(checkpoint), checkpoint)


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_the_gate_refuses_a_graph_that_is_off(
    tmp_path: Path, plain: Path, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """int8 too: what it is made of must agree to 1e-5, whatever int8 itself may lose."""

    def off(weights: Any) -> Any:
        norm = dataclasses.replace(weights.embedding_norm, epsilon=0.051)
        return build_fp32(dataclasses.replace(weights, embedding_norm=norm))

    monkeypatch.setattr("export.steps.build_fp32", off)
    texts = tmp_path / "texts.txt"
    texts.write_text("\n".join(TEXTS[:300]), "utf-8")
    out = tmp_path / "out"
    with pytest.raises(gate.ParityError, match="no component to differ by more than 1e-05"):
        main(
            [
                *("--model", str(plain), "--name", "tiny", "--out", str(out)),
                *("--precision", precision, "--calibration", str(texts)),
            ]
        )
    assert not out.exists()


def test_the_gate_refuses_another_tokenizer(
    tmp_path: Path, plain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cased(*arguments: Any) -> Any:
        reference, recipe = read_model(*arguments)
        recipe.tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False)
        return reference, recipe

    monkeypatch.setattr("export.steps.read_model", cased)
    with pytest.raises(gate.ParityError, match="the tokenizer differs"):
        main(["--model", str(plain), "--name", "x", "--out", str(tmp_path), "--precision", "fp32"])


def test_the_gate_refuses_bits_that_depend_on_the_batch(
    tmp_path: Path, plain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "other_bits", lambda *_: iter([("alone", np.array([3]))]))
    out = tmp_path / "out"
    with pytest.raises(gate.ParityError, match="expected the same bits alone"):
        main(["--model", str(plain), "--name", "x", "--out", str(out), "--precision", "fp32"])


def test_the_gate_refuses_lengths_that_are_off() -> None:
    rows = np.ones((3, 4), dtype=np.float32)
    gate.check_lengths(rows * np.float32(1.02), rows)
    with pytest.raises(gate.ParityError, match=r"lengths within 3% .*, got 4\.0%"):
        gate.check_lengths(rows * np.float32(1.04), rows)


def test_calibration_sees_prompts_and_not_too_many_texts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts = {"query": "指令：\u3000", "passage": ""}
    checkpoint = make(tmp_path, "bert", wordpiece(True), prompts=prompts)
    encoder = exported(checkpoint)
    check(encoder, checkpoint)
    _, recipe = read_model(find_checkpoint(str(checkpoint), "tiny"))
    texts = [f"text {place}" for place in range(6)]
    assert len(calibration_ids(recipe, texts)) == 6
    wanted = encoder.tokenize_texts([prompts["query"] + text for text in texts[1::2]]).ids
    assert [row.tolist() for row in calibration_ids(recipe, texts)[1::2]] == [
        row.tolist() for row in wanted
    ]
    monkeypatch.setattr("export.corpus.MOST_TOKENS", 20)
    assert len(calibration_ids(recipe, texts)) == 2


def test_pickles_are_refused(tmp_path: Path, plain: Path) -> None:
    checkpoint = Path(shutil.copytree(plain, tmp_path / "checkpoint"))
    (checkpoint / "model.safetensors").rename(checkpoint / "pytorch_model.bin")
    with pytest.raises(ArtifactError, match=r"expected model\.safetensors"):
        exported(checkpoint)


def test_models_with_more_positions_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(globals(), "POSITIONS", 600)
    checkpoint = make(tmp_path, "xlm-roberta", unigram(), limit=600)
    with pytest.raises(ArtifactError, match="max_seq_length of 3 to 512, got 600"):
        exported(checkpoint)


def test_prompts_count_once_whatever_the_way(tmp_path: Path) -> None:
    """Commands, tables and the bridge put the model's prompts before texts as encode does."""
    from minilm_onnx.integrations.sentence_transformers import sentence_transformer

    checkpoint = make(
        tmp_path,
        "bert",
        wordpiece(True),
        normalize=False,
        prompts={"query": "question:\nwhat ", "passage": "text: "},
        default_prompt_name="passage",
        similarity_fn_name="dot",
    )
    encoder = exported(checkpoint)
    texts = ["a cat", "a dog and a house"]
    unit, _ = encoder.embed_texts(texts)
    assert np.array_equal(unit, encoder.encode(texts, normalize_embeddings=True))
    assert not np.array_equal(unit, encoder.encode(texts, prompt="", normalize_embeddings=True))
    model = SentenceTransformer(str(checkpoint), device="cpu")
    ours = sentence_transformer(encoder.folder)
    for found, expected in (
        (ours.encode(texts), model.encode(texts)),
        (ours.encode_query(texts), model.encode_query(texts)),
        (ours.encode_document(texts), model.encode_document(texts)),
        (ours.encode(texts, prompt_name="query"), model.encode(texts, prompt_name="query")),
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    assert ours.similarity_fn_name == "dot"
    before = encoder.fingerprint
    encoder.prompts["query"] = "another"
    assert encoder.fingerprint != before


def test_padding_is_the_models_own(tmp_path: Path) -> None:
    checkpoint = make(tmp_path, "xlm-roberta", unigram())
    model = SentenceTransformer(str(checkpoint), device="cpu")
    texts = ["a cat", "a longer text about a house"]
    found = exported(checkpoint).tokenize(texts)["input_ids"]
    assert np.array_equal(found, model.preprocess(texts)["input_ids"].numpy())
