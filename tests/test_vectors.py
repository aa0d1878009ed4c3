from typing import Any

import numpy as np
import pytest

from minilm_onnx import InputError, SentenceEncoder, similarity


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
