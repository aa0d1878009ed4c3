from typing import Any

import numpy as np
import pytest

from minilm_onnx import (
    InputError,
    SentenceEncoder,
    dequantize_embeddings,
    quantize_embeddings,
    ranges_of,
    similarity,
    similarity_pairwise,
    truncate_embeddings,
)
from minilm_onnx.arrays import FloatArray
from minilm_onnx.vectors.quantization import Precision
from minilm_onnx.vectors.similarity import Measure

MEASURES = ("cosine", "dot", "euclidean", "manhattan")


def draw(rows: int, seed: int, width: int = 384) -> FloatArray:
    return np.random.default_rng(seed).standard_normal((rows, width)).astype(np.float32)


def test_similarity_is_the_cosine_of_every_pair() -> None:
    a = np.array([[1, 0], [3, 4]], dtype=np.float32)
    b = np.array([[2, 0], [0, 5], [-1, 0]], dtype=np.float32)
    expected = np.array([[1, 0, -1], [0.6, 0.8, -0.6]])
    np.testing.assert_allclose(similarity(a, b), expected, atol=1e-6)


def test_similarity_takes_single_vectors() -> None:
    one = np.array([0, 2], dtype=np.float32)
    assert similarity(one, one).tolist() == [[1.0]]


@pytest.mark.parametrize("shape", [(2, 3), (1, 1, 2), ()])
def test_similarity_refuses_other_shapes(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="similarity: expected"):
        similarity(np.ones(2, dtype=np.float32), np.ones(shape, dtype=np.float32))


@pytest.mark.parametrize("wrong", ["text", [[1.0, 2.0], [1.0]], None, object()])
def test_similarity_refuses_what_holds_no_vectors(wrong: Any) -> None:
    with pytest.raises(InputError, match="similarity: expected"):
        similarity(wrong, np.ones(2, dtype=np.float32))


def test_similarity_of_meanings_orders_real_sentences(encoder: SentenceEncoder) -> None:
    asked, near, far = encoder.encode(
        ["How do I reset my password?", "I forgot my login details.", "The soup needs more salt."]
    )
    scores = encoder.similarity(asked, np.stack([near, far]))[0]
    assert scores[0] > 0.4 > 0.2 > scores[1]


@pytest.mark.parametrize("measure", MEASURES)
def test_every_measure_matches_sentence_transformers(measure: Measure) -> None:
    package = pytest.importorskip("sentence_transformers", reason="it is not installed")
    kind = package.SimilarityFunction
    a, b = draw(9, 0), draw(30, 1)
    expected = kind.to_similarity_fn(measure)(a, b).numpy()
    np.testing.assert_allclose(similarity(a, b, measure), expected, rtol=1e-5, atol=1e-5)
    assert similarity(a, b, measure).dtype == np.float32
    pairs = kind.to_similarity_pairwise_fn(measure)(a, b[:9]).numpy()
    found = similarity_pairwise(a, b[:9], measure)
    np.testing.assert_allclose(found, pairs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("measure", MEASURES)
def test_pairwise_is_the_diagonal(measure: Measure) -> None:
    a, b = draw(5, 2), draw(5, 3)
    pairs = similarity_pairwise(a, b, measure)
    np.testing.assert_allclose(pairs, np.diag(similarity(a, b, measure)), rtol=1e-4, atol=1e-5)


def test_measures_and_shapes_that_are_none_are_refused() -> None:
    with pytest.raises(InputError, match="measure: expected cosine, dot"):
        similarity(draw(1, 0), draw(1, 1), "cos")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="similarity_pairwise: expected two arrays of one shape"):
        similarity_pairwise(draw(2, 0), draw(3, 1))


@pytest.mark.filterwarnings("ignore:ranges of")
@pytest.mark.parametrize("precision", ["float32", "int8", "uint8", "binary", "ubinary"])
def test_quantised_values_are_sentence_transformers(precision: Precision) -> None:
    theirs = pytest.importorskip("sentence_transformers.util.quantization", reason="not installed")
    vectors, others = draw(50, 4), draw(300, 5)
    vectors[:, 7] = 0.5  # a component without a range
    ranges = np.stack([np.full(384, -0.5), np.full(384, 0.7)]).astype(np.float32)
    every: list[dict[str, Any]] = [{}, {"calibration_embeddings": others}, {"ranges": ranges}]
    for options in every:
        found = quantize_embeddings(vectors, precision, **options)
        expected = theirs.quantize_embeddings(vectors, precision, **options)
        assert found.dtype == expected.dtype
        assert np.array_equal(found, expected)


def test_dequantised_values_are_near_what_they_were() -> None:
    vectors = draw(200, 6)
    ranges = np.stack([vectors.min(axis=0), vectors.max(axis=0)])
    step = (ranges[1] - ranges[0]) / 255
    bytewise: list[Precision] = ["int8", "uint8"]
    for precision in bytewise:
        codes: Any = quantize_embeddings(vectors, precision, ranges=ranges)
        back = dequantize_embeddings(codes, precision, ranges)
        assert (np.abs(back - vectors) <= step * 0.51).all()
    bitwise: list[Precision] = ["binary", "ubinary"]
    for precision in bitwise:
        bits: Any = quantize_embeddings(vectors, precision)
        assert np.array_equal(dequantize_embeddings(bits, precision) > 0, vectors > 0)
    with pytest.raises(InputError, match=r"ranges: expected the .* that uint8"):
        dequantize_embeddings(codes, "uint8")
    with pytest.raises(InputError, match=r"codes: expected \(N, H\) int8 for int8, got uint8"):
        dequantize_embeddings(codes, "int8", ranges)


def test_few_vectors_for_ranges_are_warned_of() -> None:
    with pytest.warns(UserWarning, match="ranges of 3 vectors"):
        quantize_embeddings(draw(3, 0), "int8")


@pytest.mark.parametrize("precision", ["int8", "uint8"])
@pytest.mark.parametrize("count", [1, 2, 150])
def test_ranges_of_equal_vectors_are_refused_with_a_way_out(
    precision: Precision, count: int
) -> None:
    """Their codes would be the lowest everywhere, whatever the vectors."""
    alike = np.repeat(draw(1, 0), count, axis=0)
    came = "one" if count == 1 else f"{count} equal ones"
    with pytest.raises(InputError, match=rf"differ, got {came}; .* give quantize_embeddings"):
        quantize_embeddings(alike, precision)
    with pytest.raises(InputError, match="expected vectors that differ"):
        quantize_embeddings(draw(3, 1), precision, calibration_embeddings=alike)
    with pytest.raises(InputError, match="expected vectors that differ"):
        ranges_of(alike)
    with pytest.raises(InputError, match="ranges: expected the minima, then the maxima"):
        quantize_embeddings(draw(3, 1), precision, ranges=alike[[0, 0]])
    ranges = ranges_of(draw(200, 1))
    with pytest.raises(InputError, match="ranges: expected the minima, then the maxima"):
        quantize_embeddings(alike, precision, ranges=ranges[::-1])
    codes = quantize_embeddings(alike, precision, ranges=ranges)
    assert len(np.unique(codes)) > 50
    # A component that is the same in all vectors is no reason.
    fixed = draw(150, 1)
    fixed[:, 3] = 0.5
    assert len(np.unique(quantize_embeddings(fixed, precision))) > 50
    assert quantize_embeddings(alike[:0], precision).shape == (0, 384)


@pytest.mark.parametrize("wrong", [np.ones(4, np.float32), np.ones((2, 4), np.int8), "text"])
def test_quantising_refuses_what_are_no_vectors(wrong: Any) -> None:
    with pytest.raises(InputError, match=r"embeddings: expected \(N, H\) floats"):
        quantize_embeddings(wrong, "int8")


def test_quantising_refuses_unknown_precisions_and_wrong_ranges() -> None:
    functions: list[Any] = [quantize_embeddings, dequantize_embeddings]
    for function in functions:
        with pytest.raises(InputError, match=r"precision: expected .*int8, uint8"):
            function(draw(2, 0), "int4")
    with pytest.raises(InputError, match=r"ranges: expected \(2, 384\)"):
        quantize_embeddings(draw(2, 0), "int8", ranges=np.ones(2))


def test_truncation_keeps_the_first_components() -> None:
    vectors = draw(3, 7)
    assert np.array_equal(truncate_embeddings(vectors, 64), vectors[:, :64])
    assert np.array_equal(truncate_embeddings(vectors[0], 64), vectors[0, :64])
    unit = truncate_embeddings(vectors, 64, normalize=True)
    np.testing.assert_allclose(np.linalg.norm(unit, axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(similarity(unit, vectors[:, :64]).diagonal(), 1, rtol=1e-6)
    wrongs: list[Any] = [0, 385, True, 1.5]
    for wrong in wrongs:
        with pytest.raises(InputError, match="truncate_dim: expected"):
            truncate_embeddings(vectors, wrong)


@pytest.mark.parametrize("precision", ["int8", "uint8", "binary", "ubinary"])
def test_no_texts_give_no_vectors_in_every_form(
    encoder: SentenceEncoder, precision: Precision
) -> None:
    found = encoder.encode([], precision=precision)
    assert len(found) == 0
    assert found.dtype in (np.int8, np.uint8)
    none = encoder.encode([])
    for measure in MEASURES:
        assert similarity(none, draw(3, 0), measure).shape == (0, 3)  # type: ignore[arg-type]
        assert similarity(draw(3, 0), none, measure).shape == (3, 0)  # type: ignore[arg-type]
