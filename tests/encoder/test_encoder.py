import asyncio
import gc
import multiprocessing
import os
import pickle
import re
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minilm_onnx import (
    InputError,
    SentenceEncoder,
    SessionError,
    quantize_embeddings,
    similarity_pairwise,
)
from minilm_onnx.folder.finding import BUNDLED
from minilm_onnx.vectors.quantization import Precision
from tests.conftest import FakeSession, by_hand

WORDS = ["cat", "a dog", "the red door", "rain", "one two three four five", ""]


def test_encode_pools_normalises_and_keeps_the_order(
    fake: tuple[SentenceEncoder, FakeSession],
) -> None:
    encoder, _ = fake
    ids = encoder.tokenize_texts(WORDS).ids
    np.testing.assert_allclose(
        encoder.encode(WORDS), [by_hand(row.tolist()) for row in ids], rtol=1e-6
    )


def test_encode_never_pads(fake: tuple[SentenceEncoder, FakeSession]) -> None:
    encoder, session = fake
    encoder.encode(["cat", "a dog", "rain"])
    assert sorted(session.shapes) == [(1, 4), (2, 3)]


def test_encode_obeys_batch_size(fake: tuple[SentenceEncoder, FakeSession]) -> None:
    encoder, session = fake
    encoder.encode(["cat", "dog", "rain", "door", "red"], batch_size=2)
    assert [shape[0] for shape in session.shapes] == [2, 2, 1]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(WORDS) | st.text(max_size=20), max_size=30), st.data())
def test_encode_of_a_permutation_is_the_permutation(
    fake: tuple[SentenceEncoder, FakeSession], texts: list[str], data: st.DataObject
) -> None:
    encoder, _ = fake
    texts = [text for text in texts if not any("\ud800" <= c <= "\udfff" for c in text)]
    order = data.draw(st.permutations(range(len(texts))))
    size = data.draw(st.none() | st.integers(1, 5))
    straight = encoder.encode(texts)
    shuffled = encoder.encode([texts[i] for i in order], batch_size=size)
    assert np.array_equal(shuffled, straight[list(order)])


def test_encode_shapes(encoder: SentenceEncoder) -> None:
    assert encoder.encode("a cat").shape == (384,)
    assert encoder.encode(["a cat"]).shape == (1, 384)
    assert encoder.encode([]).shape == (0, 384)
    assert encoder.encode([]).dtype == np.float32
    assert encoder.encode("").shape == (384,)


@pytest.mark.parametrize("size", [0, -1, 1.5, "8", True])
def test_encode_refuses_a_batch_size_that_is_not_positive(
    encoder: SentenceEncoder, size: int
) -> None:
    with pytest.raises(InputError, match="batch_size: expected a positive int"):
        encoder.encode(["a"], batch_size=size)


@pytest.mark.parametrize("threads", [0, -2, "two", True])
def test_encoder_refuses_threads_that_are_not_positive(threads: int) -> None:
    with pytest.raises(InputError, match="threads: expected a positive int"):
        SentenceEncoder(threads=threads)


def test_encoder_refuses_more_threads_than_any_machine_has() -> None:
    with pytest.raises(InputError, match="threads: expected at most 4096, got 99999999999"):
        SentenceEncoder(threads=99999999999)


def test_encode_from_many_threads_gives_each_its_own_answer(encoder: SentenceEncoder) -> None:
    texts = [f"{word} number {i}" for i, word in enumerate(WORDS * 20)]
    expected = encoder.encode(texts)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(encoder.encode, texts))
    assert np.array_equal(np.stack(found), expected)


def test_encoder_refuses_a_model_that_is_no_path() -> None:
    with pytest.raises(InputError, match="model: expected a folder's path or None, got int 3"):
        SentenceEncoder(3)  # type: ignore[arg-type]  # the point of the test


def test_encoder_knows_its_model(encoder: SentenceEncoder) -> None:
    assert encoder.manifest is not None
    assert encoder.manifest.model_id == "sentence-transformers/all-MiniLM-L6-v2"
    assert encoder.manifest.precision == "int8"
    assert (encoder.dimension, encoder.max_seq_length) == (384, 256)


def test_the_token_budget_bounds_a_run(fake: tuple[SentenceEncoder, FakeSession]) -> None:
    encoder, session = fake
    encoder._embedder.policy = replace(encoder.policy, token_budget=10)
    encoder.encode([f"a {word}" for word in ["cat", "dog", "rain", "door", "red", "one", "two"]])
    assert [texts * tokens for texts, tokens in session.shapes] == [8, 8, 8, 4]


LONG = " ".join(f"the {word} river number {i}" for i in range(40) for word in ("red", "old"))


def test_the_older_name_of_the_argument_works(encoder: SentenceEncoder) -> None:
    assert np.array_equal(encoder.encode(sentences=WORDS), encoder.encode(WORDS))
    with pytest.raises(InputError, match="texts: expected a sequence of str, got None"):
        encoder.encode()
    with pytest.raises(InputError, match="inputs: expected texts"):
        encoder.encode("a", sentences="b")


@pytest.mark.parametrize(
    ("options", "advice"),
    [
        ({"convert_to_tensor": True}, r"use torch\.from_numpy"),
        ({"convert_to_numpy": False}, r"use list\(encoder\.encode"),
        ({"device": "cuda"}, "this runs on CPUs"),
        ({"pool": object()}, "see threads"),
        ({"chunk_size": 5}, "see threads"),
        ({"output_value": None}, "call encode for each of the two"),
        ({"precision": "int4"}, "precision: expected float32, int8"),
        ({"overflow": "wrap"}, "overflow: expected truncate, warn"),
        ({"prompt_name": "passage"}, "add it to encoder.prompts"),
        ({"prompt": 3}, "prompt: expected a str"),
        ({"truncate_dim": 400}, "truncate_dim: expected at most 384"),
        ({"output_value": "token_embeddings", "precision": "int8"}, "quantise the token vectors"),
        ({"output_value": "token_embeddings", "truncate_dim": 8}, "quantise the token vectors"),
    ],
)
def test_what_cannot_be_honoured_is_refused_with_advice(
    encoder: SentenceEncoder, options: dict[str, Any], advice: str
) -> None:
    with pytest.raises(InputError, match=advice):
        encoder.encode(["a cat"], **options)


def test_unknown_arguments_are_refused(encoder: SentenceEncoder) -> None:
    with pytest.raises(TypeError, match="truncate_dims"):
        encoder.encode("a", truncate_dims=3)  # type: ignore[call-overload]


def test_token_embeddings_average_to_the_vector(encoder: SentenceEncoder) -> None:
    tokens = encoder.encode(WORDS, output_value="token_embeddings")
    assert [len(rows) for rows in tokens] == [len(ids) for ids in encoder.tokenize_texts(WORDS).ids]
    means = np.stack([rows.mean(axis=0) for rows in tokens])
    unit = means / np.linalg.norm(means, axis=1, keepdims=True)
    np.testing.assert_allclose(unit, encoder.encode(WORDS), atol=1e-6)
    one = encoder.encode(WORDS[0], output_value="token_embeddings")
    assert np.array_equal(one, tokens[0])


@pytest.mark.filterwarnings("ignore:ranges of")
def test_precision_and_truncation_are_those_of_the_helpers(encoder: SentenceEncoder) -> None:
    vectors = encoder.encode(WORDS)
    every: list[Precision] = ["int8", "uint8", "binary", "ubinary"]
    for precision in every:
        found = encoder.encode(WORDS, precision=precision)
        assert np.array_equal(found, quantize_embeddings(vectors, precision))
    assert encoder.encode("a cat", precision="ubinary").shape == (48,)
    cut = encoder.encode(WORDS, truncate_dim=64)
    assert np.array_equal(cut, vectors[:, :64])
    unit = encoder.encode(WORDS, truncate_dim=64, normalize_embeddings=True)
    np.testing.assert_allclose(np.linalg.norm(unit, axis=1), 1, rtol=1e-6)


def test_prompts_are_put_before_texts() -> None:
    encoder = SentenceEncoder(threads=1)
    plain = encoder.encode("query: a cat")
    assert np.array_equal(encoder.encode("a cat", prompt="query: "), plain)
    assert np.array_equal(encoder.encode_query("a cat"), encoder.encode("a cat"))
    encoder.prompts = {"query": "query: ", "passage": "passage: "}
    assert np.array_equal(encoder.encode("a cat", prompt_name="query"), plain)
    assert np.array_equal(encoder.encode_query("a cat"), plain)
    assert np.array_equal(encoder.encode_query("a cat", prompt=""), encoder.encode("a cat"))
    passage = encoder.encode("passage: a cat")
    assert np.array_equal(encoder.encode_document("a cat"), passage)
    assert np.array_equal(asyncio.run(encoder.aencode_query("a cat")), plain)
    assert np.array_equal(asyncio.run(encoder.aencode_document("a cat")), passage)
    assert np.array_equal(asyncio.run(encoder.aencode_document("a cat", prompt="query: ")), plain)
    encoder.default_prompt_name = "query"
    assert np.array_equal(encoder.encode("a cat"), plain)


def test_similarity_follows_the_encoders_measure() -> None:
    encoder = SentenceEncoder(threads=1)
    a, b = encoder.encode(WORDS[:3]), encoder.encode(WORDS[1:4])
    encoder.similarity_fn_name = "euclidean"
    assert np.array_equal(encoder.similarity_pairwise(a, b), similarity_pairwise(a, b, "euclidean"))
    np.testing.assert_allclose(encoder.similarity(a, a).diagonal(), 0, atol=1e-3)
    with pytest.raises(InputError, match="measure: expected cosine, dot"):
        encoder.similarity_fn_name = "angular"  # type: ignore[assignment]


def test_tokenize_pads_as_sentence_transformers_does(encoder: SentenceEncoder) -> None:
    found = encoder.tokenize(["a cat", "the red door"])
    assert found["input_ids"].tolist() == [[101, 1037, 4937, 102, 0], [101, 1996, 2417, 2341, 102]]
    assert found["attention_mask"].tolist() == [[1, 1, 1, 1, 0], [1] * 5]
    assert found["token_type_ids"].tolist() == [[0] * 5] * 2


def test_max_seq_length_can_be_set() -> None:
    encoder = SentenceEncoder(threads=1)
    whole = encoder.encode(LONG)
    encoder.max_seq_length = 16
    assert [len(ids) for ids in encoder.tokenize_texts([LONG]).ids] == [16]
    assert not np.array_equal(encoder.encode(LONG), whole)
    encoder.max_seq_length = 512
    assert encoder.encode(LONG).shape == (384,)
    for wrong in (2, 513, True, 7.5):
        with pytest.raises(InputError, match="max_seq_length: expected"):
            encoder.max_seq_length = wrong  # type: ignore[assignment]
    assert encoder.get_embedding_dimension() == encoder.get_sentence_embedding_dimension() == 384


def test_overflow_head_tail_reads_both_ends(encoder: SentenceEncoder) -> None:
    (full,) = encoder.tokenize_texts([LONG * 3]).ids
    (ids,) = encoder.tokenize_texts([LONG * 3], overflow="head_tail").ids
    assert (len(ids), ids[0], ids[-1]) == (256, 101, 102)
    assert ids[:128].tolist() == full[:128].tolist()
    tail = encoder.tokenize_texts([LONG * 3], overflow="window").ids[-1]
    assert ids[-100:].tolist() == tail[-100:].tolist()


@given(words=st.integers(255, 1500))
def test_windows_read_every_token_and_overlap(encoder: SentenceEncoder, words: int) -> None:
    tokens = encoder.tokenize_texts(["river " * words, "a cat"], overflow="window")
    (first, second) = tokens.spans
    rows = tokens.ids[first]
    assert all(len(row) <= 256 and (row[0], row[-1]) == (101, 102) for row in rows)
    assert all(len(row) == 256 for row in rows[:-1])
    # Every window but the last moves on by three quarters.
    assert 191 * (len(rows) - 1) + len(rows[-1]) - 2 == words
    assert len(tokens.ids[second]) == 1
    assert tokens.cut == 0


def test_window_vectors_are_means_by_tokens(fake: tuple[SentenceEncoder, FakeSession]) -> None:
    encoder, _ = fake
    tokens = encoder.tokenize_texts([LONG * 2], overflow="window")
    assert len(tokens.ids) == 4
    means = [
        np.array([row.mean(), (len(row) - 1) / 2, len(row), 1.0]) * len(row) for row in tokens.ids
    ]
    mean = np.sum(means, axis=0)
    found = encoder.encode(["a cat", LONG * 2], overflow="window")
    np.testing.assert_allclose(found[1], mean / np.linalg.norm(mean), rtol=1e-5)
    assert np.array_equal(found[0], encoder.encode("a cat"))
    with pytest.raises(InputError, match="token_embeddings of windows"):
        encoder.encode(LONG * 2, overflow="window", output_value="token_embeddings")


def test_overflow_is_said_or_refused(encoder: SentenceEncoder) -> None:
    with pytest.warns(UserWarning, match="1 of 2 texts are longer than 256 tokens"):
        warned = encoder.encode(["a cat", LONG * 2], overflow="warn")
    assert np.array_equal(warned, encoder.encode(["a cat", LONG * 2]))
    with pytest.raises(InputError, match=r"texts\[2\]: expected at most 256 tokens, got"):
        encoder.encode(["a cat", "a cat", LONG * 2], overflow="error")
    with pytest.raises(InputError, match=r"texts\[1\]: expected at most 256 tokens, got"):
        encoder.encode(["a", LONG * 2], overflow="error", output_value="token_embeddings")
    with pytest.warns(UserWarning, match="1 of 2 texts are longer"):
        encoder.encode(["a", LONG * 2], overflow="warn", output_value="token_embeddings")
    cached = SentenceEncoder(threads=1, cache_size=5)
    for _ in range(2):
        with pytest.warns(UserWarning, match="3 of 4 texts are longer"):
            cached.encode(["a", *[LONG * 2] * 3], overflow="warn")


def test_inspect_says_what_the_model_sees(encoder: SentenceEncoder) -> None:
    cat, long, chinese = encoder.inspect(
        ["a cat", "river " * 300, "\u732b\u5728\u6905\u5b50\u4e0a"]
    )
    assert (cat.tokens, cat.kept, cat.cut, cat.unknown) == (4, 4, False, 0.0)
    assert (long.tokens, long.kept, long.cut) == (302, 256, True)
    assert chinese.unknown > 0.5
    assert chinese.unreadable
    (windowed,) = encoder.inspect(["river " * 300], overflow="window")
    assert not windowed.cut


def test_texts_that_the_model_cannot_read_are_warned_of(encoder: SentenceEncoder) -> None:
    with pytest.warns(UserWarning, match="1 of 2 texts are mostly unknown") as caught:
        encoder.encode(["a cat", "\u732b\u5728\u6905\u5b50\u4e0a"])
    assert len(caught) == 1
    assert caught[0].filename == __file__


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


def test_a_stream_gives_vectors_as_they_are_asked_for(encoder: SentenceEncoder) -> None:
    texts = [f"{word} {i}" for i in range(500) for word in WORDS]
    taken: list[str] = []

    def source() -> Iterator[str]:
        for text in texts:
            taken.append(text)
            yield text

    stream = encoder.encode_stream(source())
    first = next(stream)
    assert len(taken) == 2048
    found = np.stack([first, *stream])
    assert np.array_equal(found, encoder.encode(texts))
    assert list(encoder.encode_stream([])) == []
    for wrong in ("a cat", b"a cat", 3):
        with pytest.raises(InputError, match="inputs: expected an iterable of str"):
            encoder.encode_stream(wrong)  # type: ignore[arg-type]
    for argument in ({"batch_size": 0}, {"overflow": "cut"}, {"prompt_name": "poem"}):
        with pytest.raises(InputError, match=next(iter(argument))):
            encoder.encode_stream(texts, **argument)


def test_a_stream_counts_from_its_first_text(
    encoder: SentenceEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("minilm_onnx.stream.STREAM_CHUNK", 2)
    with pytest.raises(InputError, match=r"texts\[3\]: expected a str, got None"):
        list(encoder.encode_stream(["a", "b", "c", None]))  # type: ignore[list-item]
    with pytest.raises(InputError, match=r"texts\[4\]: expected at most 256 tokens"):
        list(encoder.encode_stream(["a", "b", "c", "d", "word " * 300], overflow="error"))


UNREADABLE = "\u732b\u5728\u6905\u5b50\u4e0a"


def test_a_stream_warns_once_of_all(
    encoder: SentenceEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("minilm_onnx.stream.STREAM_CHUNK", 2)
    with pytest.warns(UserWarning, match="2 of 5 texts are mostly unknown") as caught:
        list(encoder.encode_stream([UNREADABLE, "b", "c", "d", UNREADABLE]))
    assert len(caught) == 1
    with pytest.warns(UserWarning, match="1 of 2 texts are mostly unknown"):
        next(encoder.encode_stream([UNREADABLE, "b", "c", "d"]))


def test_a_stream_reads_by_the_limit_it_was_begun_with() -> None:
    encoder = SentenceEncoder(threads=1)
    text = "word " * 100
    expected = encoder.encode(text)
    stream = encoder.encode_stream([text])
    encoder.max_seq_length = 8
    assert np.array_equal(next(stream), expected)


def test_a_stream_puts_prompts_before_texts() -> None:
    encoder = SentenceEncoder(threads=1)
    encoder.prompts["query"] = "find: "
    plain = encoder.encode(["find: a cat"])
    assert np.array_equal(list(encoder.encode_stream(["a cat"], prompt_name="query")), plain)
    assert np.array_equal(list(encoder.encode_stream(["a cat"], prompt="find: ")), plain)
    encoder.default_prompt_name = "query"
    assert np.array_equal(list(encoder.encode_stream(["a cat"])), plain)


def test_aencode_leaves_the_loop_free_and_gives_the_same(encoder: SentenceEncoder) -> None:
    texts = [f"{word} {i}" for i in range(60) for word in WORDS]

    async def work() -> tuple[int, tuple[Any, Any]]:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0)

        ticking = asyncio.create_task(tick())
        found = await asyncio.gather(encoder.aencode(texts), encoder.aencode("a cat"))
        ticking.cancel()
        return ticks, found

    ticks, (many, one) = asyncio.run(work())
    assert ticks > 10
    assert np.array_equal(many, encoder.encode(texts))
    assert np.array_equal(one, encoder.encode("a cat"))


def test_a_cancelled_aencode_stops_at_the_next_batch(
    fake: tuple[SentenceEncoder, FakeSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder, session = fake
    started, go_on = threading.Event(), threading.Event()
    real = session.run

    def slow(ids: Any) -> Any:
        started.set()
        assert go_on.wait(20)
        return real(ids)

    monkeypatch.setattr(session, "run", slow)

    async def work() -> None:
        task = asyncio.create_task(encoder.aencode(WORDS, batch_size=1))
        await asyncio.to_thread(started.wait, 20)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        go_on.set()
        assert (await encoder.aencode("a cat")).shape == (4,)

    asyncio.run(work())
    assert len(session.shapes) == 2  # the batch at which it was cancelled, and the other call's


def test_errors_of_aencode_are_those_of_encode(encoder: SentenceEncoder) -> None:
    with pytest.raises(InputError, match=r"texts\[0\]: expected a str"):
        asyncio.run(encoder.aencode([None]))  # type: ignore[list-item]


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
    monkeypatch.setattr("tests.encoder.test_encoder.FORKED", [encoder])
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


def test_a_bar_is_shown_where_somebody_sees_it(
    encoder: SentenceEncoder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("tqdm", reason="tqdm is not installed")
    encoder.encode(WORDS, show_progress_bar=True)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    encoder.encode(WORDS, show_progress_bar=True)
    assert "6/6" in capsys.readouterr().err
    encoder.encode([*WORDS[:5], "word " * 700], show_progress_bar=True, overflow="window")
    shown = re.findall(r"(\d+)/6", capsys.readouterr().err)
    assert max(map(int, shown)) == 6  # texts, not windows
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    with pytest.raises(InputError, match=r"pip install 'minilm-onnx\[progress\]'"):
        encoder.encode(WORDS, show_progress_bar=True)
