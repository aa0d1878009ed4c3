"""Models of other architectures: tiny random ones, exported, against sentence-transformers."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minilm_onnx import ArtifactError, InputError, SentenceEncoder
from minilm_onnx.cli import main as minilm_onnx
from minilm_onnx.text import pieces
from minilm_onnx.vectors.pooling import l2_normalize

for name in ("onnx", "scipy", "sentence_transformers", "transformers"):
    pytest.importorskip(name, reason=f"{name} of export/requirements.txt is not installed")

import torch
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer

from tests.support.checkpoints import (
    MARKS,
    POSITIONS,
    TEXTS,
    WIDTH,
    bytes_bpe,
    change,
    check,
    dense,
    exported,
    make,
    mpnets,
    unigram,
    wordpiece,
)

pytestmark = MARKS


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


def prompted(folder: Path, query: str, *, lower: bool = False) -> Path:
    """A checkpoint with prompts, whose vectors keep their lengths."""
    return make(
        folder,
        "bert",
        wordpiece(not lower),
        lower=lower,
        normalize=False,
        prompts={"query": query, "passage": "text: "},
        default_prompt_name="passage",
        similarity_fn_name="dot",
    )


def test_prompts_measure_and_lower_case_are_read(tmp_path: Path) -> None:
    checkpoint = prompted(tmp_path, "question: ", lower=True)
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


def test_prompts_count_once_whatever_the_way(tmp_path: Path) -> None:
    """Commands, tables and the bridge put the model's prompts before texts as encode does."""
    from minilm_onnx.integrations.sentence_transformers import sentence_transformer

    checkpoint = prompted(tmp_path, "question:\nwhat ")
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
