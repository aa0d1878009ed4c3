from hypothesis import given
from hypothesis import strategies as st

from minilm_onnx.batches import equal_length_batches

lengths_lists = st.lists(st.integers(min_value=1, max_value=300), max_size=200)


@given(lengths_lists, st.integers(1, 600), st.none() | st.integers(1, 9))
def test_batches_hold_every_text_once_with_equal_lengths_under_the_budget(
    lengths: list[int], budget: int, most: int | None
) -> None:
    batches = list(equal_length_batches(lengths, token_budget=budget, max_texts=most))
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    for batch in batches:
        (length,) = {lengths[i] for i in batch}
        assert len(batch) == 1 or len(batch) * length <= budget
        assert most is None or len(batch) <= most


def test_batches_of_equal_length_are_full() -> None:
    assert [len(batch) for batch in equal_length_batches([10] * 7, token_budget=30)] == [3, 3, 1]


def test_batches_of_no_texts_are_none() -> None:
    assert list(equal_length_batches([])) == []
