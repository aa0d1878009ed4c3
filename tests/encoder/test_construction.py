"""`SentenceEncoder` is made as a `SentenceTransformer` is: what is honoured, refused, accepted."""

import inspect
import pickle
from enum import Enum
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from minilm_onnx import InputError, SentenceEncoder
from minilm_onnx.construction import TheirOptions
from minilm_onnx.engine.policy import multiplies_in_bf16
from minilm_onnx.folder.artifact import load_artifact
from minilm_onnx.folder.finding import BUNDLED

TEXTS = ["a cat", "the red door", ""]
MANIFEST = load_artifact(BUNDLED).manifest
assert MANIFEST is not None
NAME = "sentence-transformers/all-MiniLM-L6-v2"


@pytest.mark.parametrize(
    "options",
    [
        {"model_name_or_path": NAME},
        {"device": None},
        {"device": "cpu"},
        {"device": "cpu:0"},
        {"device": SimpleNamespace(type="cpu")},  # torch.device("cpu")
        {"backend": "torch"},
        {"backend": "onnx"},
        {"revision": None},
        {"revision": "main"},
        {"revision": MANIFEST.revision},
        {"revision": MANIFEST.revision[:7]},
        {"cache_folder": "/nowhere"},
        {"trust_remote_code": True},
        {"local_files_only": True},
        {"token": "secret"},
        {"use_auth_token": True},
        {"model_kwargs": {}},
        {"model_kwargs": {"torch_dtype": "auto", "attn_implementation": "sdpa"}},
        {"model_kwargs": {"dtype": "float32", "provider": "CPUExecutionProvider"}},
        {"processor_kwargs": {"use_fast": True, "padding_side": "left"}},
        {"tokenizer_kwargs": {"clean_up_tokenization_spaces": False}},
        {"config_kwargs": {"trust_remote_code": True}},
        {"model_card_data": object()},
        {"modules": None, "prompts": None, "default_prompt_name": None},
        {"similarity_fn_name": None, "truncate_dim": None},
    ],
    ids=str,
)
def test_what_changes_nothing_is_accepted(encoder: SentenceEncoder, options: Any) -> None:
    made = SentenceEncoder(**options)
    assert np.array_equal(made.encode(TEXTS), encoder.encode(TEXTS))
    assert made.fingerprint == encoder.fingerprint
    assert "secret" not in repr(made)
    assert b"secret" not in pickle.dumps(made)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"device": "cuda"}, "device: expected None or 'cpu', got 'cuda'; this runs on CPUs"),
        ({"device": SimpleNamespace(type="mps")}, "device: expected"),
        ({"device": ["cpu"]}, "device: expected"),
        ({"backend": "openvino"}, "backend: expected torch, onnx, got 'openvino'"),
        ({"backend": None}, "backend: expected"),
        ({"revision": "0" * 40}, f"revision: expected None or {MANIFEST.revision}.* export that"),
        ({"revision": MANIFEST.revision[:6]}, "revision: expected"),
        ({"revision": 3}, "revision: expected"),
        ({"modules": [object()]}, "modules: expected None, got list; save the model, then"),
        ({"model_kwargs": {"torch_dtype": "float16"}}, "model_kwargs: expected .* 'torch_dtype'"),
        ({"model_kwargs": {"torch_dtype": "torch.bfloat16"}}, "leave it out; .* give bf16=True"),
        ({"bf16": True}, "bf16: expected False with a model folder whose precision is int8"),
        ({"model_kwargs": {"file_name": "model_O3.onnx"}}, "got 'file_name': 'model_O3.onnx'"),
        ({"model_kwargs": {"device_map": "cuda:0"}}, "got 'device_map': 'cuda:0'; leave it out"),
        ({"model_kwargs": "x"}, "model_kwargs: expected a dict or None, got str"),
        ({"processor_kwargs": {"use_fast": False}}, "processor_kwargs: expected .* 'use_fast'"),
        ({"tokenizer_kwargs": {"truncation_side": "left"}}, "tokenizer_kwargs: expected"),
        ({"tokenizer_kwargs": {"model_max_length": 2}}, "max_seq_length: expected at least 3"),
        ({"config_kwargs": {"num_hidden_layers": 3}}, "config_kwargs: expected .* leave it out"),
        ({"prompts": "query: "}, "prompts: expected a dict of str or None, got str"),
        ({"prompts": {"query": None}}, "prompts: expected a str under each name, got 'query'"),
        ({"default_prompt_name": "poem"}, "default_prompt_name: expected query, document, got"),
        ({"default_prompt_name": 1}, "default_prompt_name: expected"),
        ({"similarity_fn_name": "maxsim"}, "similarity_fn_name: expected cosine, dot, euclidean"),
        ({"truncate_dim": 0}, "truncate_dim: expected a positive int"),
        ({"truncate_dim": 385}, "truncate_dim: expected at most 384"),
        ({"model": NAME, "model_name_or_path": NAME}, "model_name_or_path: expected None beside"),
        ({"model_name_or_path": 3}, "model: expected a folder's path or None, got int 3"),
    ],
    ids=str,
)
def test_what_cannot_be_had_is_refused_in_a_line(options: Any, words: str) -> None:
    with pytest.raises(InputError, match=words) as refused:
        SentenceEncoder(**options)
    assert str(refused.value).isprintable()


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("prompts", "query: ", "prompts: expected a dict of str or None, got str"),
        ("prompts", {"query": 1}, "prompts: expected a str under each name, got 'query': 1"),
        ("similarity_fn_name", "maxsim", "similarity_fn_name: expected cosine"),
    ],
)
def test_what_is_set_later_is_checked_as_well(name: str, value: Any, words: str) -> None:
    made = SentenceEncoder(prompts={"query": "query: "})
    before = made.fingerprint
    with pytest.raises(InputError, match=words):
        setattr(made, name, value)
    assert made.fingerprint == before


def test_what_nobody_knows_is_a_type_error() -> None:
    with pytest.raises(TypeError, match=r"SentenceEncoder\(\) got an unexpected .* 'colour'"):
        SentenceEncoder(colour="red")  # type: ignore[call-arg]


def test_prompts_are_put_before_texts(encoder: SentenceEncoder) -> None:
    made = SentenceEncoder(prompts={"query": "query: ", "passage": "passage: "})
    assert made.prompts == {"query": "query: ", "document": "", "passage": "passage: "}
    assert np.array_equal(made.encode_query("a cat"), encoder.encode("query: a cat"))
    assert np.array_equal(made.encode("a cat"), encoder.encode("a cat"))
    named = SentenceEncoder(prompts={"passage": "passage: "}, default_prompt_name="passage")
    assert np.array_equal(named.encode("a cat"), encoder.encode("passage: a cat"))
    assert len({encoder.fingerprint, made.fingerprint, named.fingerprint}) == 3


class TheirMeasure(Enum):
    DOT_PRODUCT = "dot"


@pytest.mark.parametrize("measure", ["dot", TheirMeasure.DOT_PRODUCT])
def test_a_measure_is_chosen_by_its_name_or_theirs(measure: Any) -> None:
    made = SentenceEncoder(similarity_fn_name=measure)
    assert made.similarity_fn_name == "dot"
    assert made.similarity(np.array([[2.0, 0.0]]), np.array([[3.0, 0.0]]))[0, 0] == 6


def test_vectors_are_truncated_everywhere(encoder: SentenceEncoder) -> None:
    made = SentenceEncoder(truncate_dim=64)
    expected = encoder.encode(TEXTS, truncate_dim=64)
    unit = encoder.encode(TEXTS, truncate_dim=64, normalize_embeddings=True)
    assert np.array_equal(made.encode(TEXTS), expected)
    assert np.array_equal(made.encode(TEXTS, normalize_embeddings=True), unit)
    assert np.array_equal(list(made.encode_stream(TEXTS)), expected)
    assert np.array_equal(made.embed_texts(TEXTS)[0], unit)
    assert np.array_equal(made.embed_tokens(made.tokenize_texts(TEXTS)), unit)
    assert made.encode(TEXTS, truncate_dim=100).shape == (3, 100)
    assert made.encode("a cat", output_value="token_embeddings").shape == (4, 384)
    assert made.dimension == made.get_embedding_dimension() == 64
    assert made.fingerprint != encoder.fingerprint
    made.truncate_dim = None
    assert made.dimension == 384
    assert np.array_equal(made.encode(TEXTS), encoder.encode(TEXTS))
    assert made.fingerprint == encoder.fingerprint


def test_an_index_is_of_truncated_vectors(tmp_path: Path, encoder: SentenceEncoder) -> None:
    pytest.importorskip("apsw")
    pytest.importorskip("semantic_text_splitter")
    from minilm_onnx.index import TextIndex
    from minilm_onnx.index.storage import Storage

    made = SentenceEncoder(truncate_dim=100)
    storages: tuple[Storage, ...] = ("float32", "int8")
    for storage in storages:
        with TextIndex(tmp_path / f"{storage}.db", made, storage=storage) as index:
            index.add("cat", "a cat sat")
            index.add("market", "stock markets fell")
            assert [found.source for found in index.search("kitten")] == ["cat", "market"]
        with pytest.raises(InputError, match="expected an index by"):
            TextIndex(tmp_path / f"{storage}.db", encoder)
    with pytest.raises(InputError, match="storage: expected a multiple of 8 components"):
        TextIndex(tmp_path / "binary.db", made, storage="binary")


def test_the_limit_may_be_named_as_there(encoder: SentenceEncoder) -> None:
    assert SentenceEncoder(processor_kwargs={"model_max_length": 16}).max_seq_length == 16
    assert SentenceEncoder(tokenizer_kwargs={"model_max_length": 16}).max_seq_length == 16


def test_a_pickled_encoder_keeps_what_it_was_asked_for() -> None:
    made = SentenceEncoder(
        NAME, truncate_dim=64, prompts={"query": "q: "}, default_prompt_name="query", token="secret"
    )
    again = pickle.loads(pickle.dumps(made))
    assert again.fingerprint == made.fingerprint
    assert np.array_equal(again.encode(TEXTS), made.encode(TEXTS))
    # The bundled model, wherever it lies on the machine that reads this.
    assert str(BUNDLED).encode() not in pickle.dumps(made)


def test_an_encoder_in_bf16_says_so_and_stays_so(
    fp32_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = SentenceEncoder(fp32_folder, threads=1)
    monkeypatch.setattr("minilm_onnx.engine.policy.multiplies_in_bf16", lambda: True)
    made = SentenceEncoder(fp32_folder, threads=1, bf16=True)
    assert made.runtime == f"{plain.runtime} in bf16"
    assert made.fingerprint == plain.fingerprint
    again = pickle.loads(pickle.dumps(made))
    assert again.policy == made.policy
    assert again.runtime == made.runtime
    monkeypatch.undo()
    if not multiplies_in_bf16():
        with pytest.raises(InputError, match="bf16: expected False, since"):
            pickle.loads(pickle.dumps(made))


def test_an_encoder_says_what_it_is(tmp_path: Path) -> None:
    assert repr(SentenceEncoder(threads=1)) == (
        "SentenceEncoder(all-MiniLM-L6-v2, int8, 384 dimensions, max_seq_length=256, threads=1)"
    )

    class Mine(SentenceEncoder):
        pass

    shorter = Mine(threads=2, truncate_dim=64)
    shorter.max_seq_length = 128
    assert repr(shorter) == (
        "Mine(all-MiniLM-L6-v2, int8, 64 dimensions, max_seq_length=128, threads=2)"
    )


def test_every_argument_of_theirs_is_known() -> None:
    theirs = pytest.importorskip("sentence_transformers", reason="it is not installed")
    names = set(inspect.signature(theirs.SentenceTransformer.__init__).parameters) - {"self"}
    assert names <= set(TheirOptions.__annotations__)
