"""One encoder in threads, after a fork, pickled and closed; what it remembers."""

import asyncio
import gc
import multiprocessing
import os
import pickle
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from minilm_onnx import (
    InputError,
    SentenceEncoder,
    SessionError,
)
from minilm_onnx.folder.finding import BUNDLED
from tests.conftest import WORDS, FakeSession


def test_encode_from_many_threads_gives_each_its_own_answer(encoder: SentenceEncoder) -> None:
    texts = [f"{word} number {i}" for i, word in enumerate(WORDS * 20)]
    expected = encoder.encode(texts)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(encoder.encode, texts))
    assert np.array_equal(np.stack(found), expected)


def test_duplicates_are_computed_once(fake: tuple[SentenceEncoder, FakeSession]) -> None:
    encoder, session = fake
    found = encoder.encode(["cat", "dog", "cat", "cat"])
    assert sum(shape[0] for shape in session.shapes) == 2
    assert np.array_equal(found, encoder.encode(["cat", "dog"])[[0, 1, 0, 0]])


def test_the_cache_answers_what_came_before(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = SentenceEncoder(threads=1, cache_size=2)
    session = encoder._embedder.session
    runs: list[int] = []
    real = session.run_each

    def spy(batches: Any, take: Any) -> None:
        runs.append(sum(map(len, batches)))
        real(batches, take)

    monkeypatch.setattr(session, "run_each", spy)
    plain = SentenceEncoder(threads=1)
    for texts, computed in (
        (["a", "b"], 2),
        (["b", "a", "b"], 0),
        (["c", "b"], 1),  # "a" was asked for longest ago
        (["a"], 1),
        (["c", "a"], 0),
    ):
        assert np.array_equal(encoder.encode(texts), plain.encode(texts))
        assert runs[-1] == computed
    encoder.max_seq_length = 3
    encoder.encode(["a"])
    assert runs[-1] == 1  # another limit, another vector
    with pytest.raises(InputError, match="cache_size: expected a positive int"):
        SentenceEncoder(cache_size=-1)


def test_the_fingerprint_names_what_vectors_depend_on() -> None:
    encoder = SentenceEncoder(threads=1)
    before = encoder.fingerprint
    assert before == SentenceEncoder(BUNDLED, threads=2).fingerprint
    assert before.startswith("all-MiniLM-L6-v2:int8:256:")
    encoder.check_fingerprint(before)
    encoder.max_seq_length = 128
    assert encoder.fingerprint != before
    with pytest.raises(InputError, match="fingerprint: expected all-MiniLM-L6-v2:int8:128"):
        encoder.check_fingerprint(before)


def encode_in_child(encoder: SentenceEncoder, texts: list[str]) -> Any:
    return encoder.encode(texts)


def test_an_encoder_can_be_pickled_and_spawned(encoder: SentenceEncoder) -> None:
    made = SentenceEncoder(threads=1, cache_size=3)
    made.max_seq_length = 99
    made.prompts["query"] = "q: "
    copy = pickle.loads(pickle.dumps(made))
    assert (copy.max_seq_length, copy.prompts["query"]) == (99, "q: ")
    assert copy.policy == made.policy
    assert len(pickle.dumps(made)) < 2000
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        found = pool.submit(encode_in_child, encoder, WORDS).result(60)
    assert np.array_equal(found, encoder.encode(WORDS))


# A fork's child has what its parent had; what is sent to it would be pickled.
FORKED: list[SentenceEncoder] = []


def encode_forked(texts: list[str]) -> Any:
    return FORKED[0].encode(texts)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # that forking with threads may hang
def test_an_encoder_works_after_a_fork(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = SentenceEncoder(threads=2, cache_size=2)
    monkeypatch.setattr("tests.encoder.test_sharing.FORKED", [encoder])
    texts = [f"{word} {i}" for i in range(120) for word in WORDS]
    expected = encoder.encode(texts)
    encoder.encode(texts)
    assert len(encoder._embedder.session._apart) == 2
    assert encoder._embedder._cache is not None
    # As if other threads were at work while it forks.
    locks = (encoder._embedder._cache._lock, encoder._embedder.session._lock)
    for lock in locks:
        lock.acquire()
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as pool:
        pending = pool.submit(encode_forked, texts)
        for lock in locks:
            lock.release()
        found = pending.result(60)
    assert np.array_equal(found, expected)
    assert np.array_equal(encoder.encode(texts), expected)


def test_a_closed_encoder_leaves_no_thread_and_says_that_it_is_closed() -> None:
    before = set(threading.enumerate())
    with SentenceEncoder(threads=2) as encoder:
        asyncio.run(encoder.aencode("a cat"))
    assert set(threading.enumerate()) == before
    with pytest.raises(SessionError, match="expected an open one, got a closed one"):
        encoder.encode("a cat")
    with pytest.raises(SessionError, match="expected an open one, got a closed one"):
        asyncio.run(encoder.aencode("a cat"))
    other = SentenceEncoder(threads=2)
    asyncio.run(other.aencode("a cat"))
    del other
    gc.collect()
    for thread in set(threading.enumerate()) - before:
        thread.join(20)
    assert set(threading.enumerate()) == before
