from hypothesis import given
from hypothesis import strategies as st

from minilm_onnx.engine.batches import equal_length_batches, plan

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


shapes_lists = st.lists(st.tuples(st.integers(1, 30), st.integers(3, 256)), max_size=40)


@given(shapes_lists, st.integers(1, 8))
def test_plan_runs_every_batch_once(shapes: list[tuple[int, int]], threads: int) -> None:
    shared, apart = plan(shapes, threads)
    assert sorted(shared + apart) == list(range(len(shapes)))


def test_plan_shares_what_would_leave_a_thread_idle() -> None:
    assert plan([(1, 12)], 2) == ([0], [])
    shared, apart = plan([(1, 20), (1, 256), (1, 20), (1, 12), (1, 20)], 2)
    assert (shared, apart) == ([1], [0, 2, 4, 3])


def test_plan_gives_batches_of_a_like_to_one_thread_each() -> None:
    assert plan([(4, 60)] * 10, 2) == ([], list(range(10)))
    assert plan([(4, 60)] * 10, 1) == (list(range(10)), [])


def test_plan_of_a_batch_a_thread_shares_none() -> None:
    for threads in (3, 4, 8, 16):
        assert plan([(4, 60)] * threads, threads) == ([], list(range(threads)))
