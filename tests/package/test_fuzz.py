"""Inputs that nobody would write: those that fuzzing kept, and arguments of every kind."""

import hashlib
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minilm_onnx
from minilm_onnx import InputError, SentenceEncoder
from tests.support.fuzzing import KEPT, read_inputs, write_inputs
from tests.support.targets import TARGETS

# Named as libFuzzer names its files: a case keeps its name where others come or go.
INPUTS = [
    pytest.param(target, data, id=f"{target}-{hashlib.sha1(data).hexdigest()}")
    for target in TARGETS
    for data in read_inputs(KEPT / f"{target}.txt")
]
# Values that callers get wrong, beside any text.
WRONG: list[Any] = [
    *(None, True, 0, -1, 3, 2**70, 1.5, float("nan"), b"bytes", "", "no such", "\ud800", object()),
    *([], [1], [None], ["a", 2], {"a": 1}, {"a", "b"}, np.float32(2), np.str_("text"), range(3)),
    *(np.zeros(3), np.zeros((2, 3)), np.array(["a", "b"]), np.array(None), iter(["a"]), Path("x")),
]
values = st.one_of(st.sampled_from(WRONG), st.text(max_size=20), st.integers(), st.floats())
OPTIONS = (
    *("batch_size", "show_progress_bar", "output_value", "precision", "convert_to_numpy"),
    *("convert_to_tensor", "device", "normalize_embeddings", "truncate_dim", "overflow"),
    *("prompt", "prompt_name", "pool", "chunk_size"),
)
ARRAYS: list[Any] = [
    *WRONG,
    *(np.zeros((0, 4)), np.zeros((3, 0)), np.ones((3, 4)), np.ones((3, 4), np.int8), [[1, 2], [3]]),
    *(
        np.full((2, 4), np.nan),
        np.full((2, 4), np.inf),
        np.ones((1, 2, 4)),
        np.ones((2, 4), object),
    ),
    *([["a"]], np.ones((2, 4), complex), np.ones(4), [1.0, 2.0], np.array([["x", "y"]])),
]


def answer(call: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Give what a call gives, or None if it says on one line what is wrong with its arguments."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return call(*arguments, **options)
        except InputError as error:
            said = str(error)
    assert said
    assert "\n" not in said
    return None


@pytest.mark.parametrize(("target", "data"), INPUTS)
def test_what_fuzzing_kept_keeps_every_promise(target: str, data: bytes) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        TARGETS[target](data)


@pytest.mark.parametrize("target", TARGETS)
def test_what_fuzzing_kept_is_packed_the_same_twice(target: str, tmp_path: Path) -> None:
    packed = KEPT / f"{target}.txt"
    write_inputs(tmp_path / "again.txt", reversed(read_inputs(packed)))
    assert (tmp_path / "again.txt").read_text("ascii") == packed.read_text("ascii")


def test_any_bytes_can_be_packed_a_line_each(tmp_path: Path) -> None:
    path = tmp_path / "packed.txt"
    inputs = [b"", b"\r\n\n", b"'\"\\", b"\\n", b"\xe2\x80\xa8\x85\x0c\x1c", bytes(range(256))]
    write_inputs(path, [*inputs, b""])
    assert len(path.read_text("ascii").splitlines()) == len(inputs)
    assert read_inputs(path) == sorted(inputs)


@settings(max_examples=150)
@given(
    st.sampled_from(["encode", "encode_query", "encode_document"]),
    st.one_of(values, st.lists(st.text(max_size=12), max_size=3)),
    st.dictionaries(st.sampled_from(OPTIONS), values, max_size=2),
)
def test_encode_gives_unit_rows_or_says_what_is_wrong(
    name: str, texts: Any, options: dict[str, Any]
) -> None:
    found = answer(getattr(ENCODER, name), texts, **options)
    if found is None or set(options) & {"output_value", "precision", "truncate_dim"}:
        return
    if isinstance(texts, str):
        assert found.shape == (384,)
    assert found.dtype == np.float32
    if len(found):
        assert np.abs(np.linalg.norm(np.atleast_2d(found), axis=1) - 1).max() < 1e-5


@settings(max_examples=100)
@given(st.sampled_from(["inspect", "tokenize", "tokenize_texts", "encode_stream"]), values)
def test_other_methods_answer_or_say_what_is_wrong(name: str, texts: Any) -> None:
    method = getattr(ENCODER, name)
    answer(lambda: list(method(texts)) if name == "encode_stream" else method(texts))


CALLS = {
    "similarity": 2,
    "similarity_pairwise": 2,
    "semantic_search": 2,
    "paraphrase_mining_embeddings": 1,
    "community_detection": 1,
    "near_duplicates": 1,
    "quantize_embeddings": 2,
    "dequantize_embeddings": 2,
    "truncate_embeddings": 2,
    "ranges_of": 1,
    "semantic_search_quantized": 3,
}


@settings(max_examples=400)
@given(st.sampled_from(sorted(CALLS)), st.data())
def test_functions_of_vectors_answer_or_say_what_is_wrong(name: str, data: Any) -> None:
    choices = st.sampled_from([*ARRAYS, "int8", "ubinary", 2])
    arguments = [data.draw(choices) for _ in range(CALLS[name])]
    answer(getattr(minilm_onnx, name), *arguments)


ENCODER = SentenceEncoder(threads=1)
ENCODER.max_seq_length = 8
