"""encode_stream and aencode: vectors as they are asked for, while the event loop is free."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from minilm_onnx import (
    InputError,
    SentenceEncoder,
)
from tests.conftest import WORDS, FakeSession


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
