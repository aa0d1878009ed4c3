"""What is made of a text's windows."""

import hashlib

import numpy as np

from minilm_onnx.engine.embedder import _average


def test_windows_are_averaged_by_their_tokens_with_the_same_bits_on_every_cpu() -> None:
    numbers = np.arange(5 * 96, dtype=np.uint64) * 2654435761 % 2**32
    rows = (numbers.astype(np.float64) / 2**31 - 1).astype(np.float32).reshape(5, 96)
    counts = (256, 256, 256, 256, 40)
    found = _average(rows, [np.zeros(count, dtype=np.int64) for count in counts])
    np.testing.assert_allclose(found, np.average(rows, axis=0, weights=counts), atol=1e-6)
    assert hashlib.sha256(found.astype("<f4").tobytes()).hexdigest()[:16] == "42d1e1df46526959"
    alone = _average(rows[:1], [np.zeros(256, dtype=np.int64)])
    assert alone.tobytes() == rows[0].tobytes()
