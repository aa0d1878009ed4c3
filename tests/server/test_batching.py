"""Requests that share runs: the same bits, nobody waits for company or for ever."""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minilm_onnx import InputError, SentenceEncoder, SessionError
from minilm_onnx.arrays import FloatArray, Matrix
from minilm_onnx.text.tokens import TokenizedTexts

pytest.importorskip("starlette", reason="minilm-onnx[server] is not installed")

from minilm_onnx.server.batching import Batcher, Embedded, Gauges
from minilm_onnx.server.errors import DeadlineError, OverloadedError

SHARED = SentenceEncoder()


def batcher(encoder: Any = SHARED, **changed: Any) -> Batcher:
    given: dict[str, Any] = {"max_requests": 100, "max_tokens": 10_000, "deadline_s": 60.0}
    return Batcher(encoder, **given | changed)


def run(work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    return asyncio.run(work())


class Slow:
    """An encoder whose runs end when they are let."""

    dimension = SHARED.dimension
    tokenize_texts = SHARED.tokenize_texts
    with_default_prompt = SHARED.with_default_prompt

    def __init__(self) -> None:
        self.runs: list[list[int]] = []
        self.go = threading.Event()

    def embed_tokens(self, tokens: TokenizedTexts) -> Matrix:
        self.runs.append([len(ids) for ids in tokens.ids])
        assert self.go.wait(60)
        found: FloatArray = np.zeros((len(tokens.ids), self.dimension), dtype=np.float32)
        found[:, 0] = [ids[1] for ids in tokens.ids]
        return found


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not true():
            await asyncio.sleep(0)


async def begun(shared: Batcher, encoder: Slow, *texts: str) -> "asyncio.Task[Embedded]":
    """A request of which a run has begun, and ends when it is let."""
    task = asyncio.create_task(shared.embed(texts))
    await until(lambda: len(encoder.runs) == 1)
    return task


@settings(max_examples=25)
@given(st.lists(st.lists(st.text(max_size=60), max_size=5), max_size=12))
def test_vectors_are_those_of_encode_whoever_asks_beside(requests: list[list[str]]) -> None:
    async def work() -> list[Any]:
        shared = batcher()
        found = await asyncio.gather(
            *(shared.embed(texts) for texts in requests), return_exceptions=True
        )
        await shared.close()
        return found

    for texts, found in zip(requests, run(work), strict=True):
        assert np.array_equal(found.vectors, np.asarray(SHARED.encode(texts)).reshape(-1, 384))
        assert [report.tokens for report in found.reports] == [
            report.tokens for report in SHARED.inspect(texts)
        ]


def test_a_lone_request_waits_for_nobody_and_those_that_meet_share_a_run() -> None:
    async def work() -> Any:
        encoder = Slow()
        sizes: list[int] = []
        shared = batcher(encoder, gauges=Gauges(batch_texts=sizes.append))
        first = await begun(shared, encoder, "alone")
        others = [asyncio.ensure_future(shared.embed([f"text {n}"])) for n in range(9)]
        await asyncio.sleep(0)
        assert shared.waiting == 10
        encoder.go.set()
        await asyncio.gather(first, *others)
        assert shared.waiting == shared.waiting_tokens == 0
        await shared.close()
        return sizes

    assert run(work) == [1, 9]


def test_a_long_request_leaves_room_for_short_ones() -> None:
    async def work() -> None:
        encoder = Slow()
        shared = batcher(encoder, max_tokens=10**6)
        long = await begun(shared, encoder, *["word " * 200] * 100)
        short = asyncio.ensure_future(shared.embed(["short"]))
        await asyncio.sleep(0)
        encoder.go.set()
        await short
        assert not long.done()
        assert len(encoder.runs) <= 3
        assert (await long).vectors.shape == (100, 384)
        await shared.close()

    run(work)


def test_long_requests_are_done_in_the_order_they_came() -> None:
    async def work() -> None:
        encoder = Slow()
        shared = batcher(encoder, max_tokens=10**6)
        tasks = [
            asyncio.ensure_future(
                shared.embed_tokens(SHARED.tokenize_texts([word * 100] * 80), 0.0)
            )
            for word in ("cat ", "dog ", "cow ")
        ]
        await until(lambda: len(encoder.runs) == 1)
        encoder.go.set()
        ended: list[asyncio.Future[Any]] = []
        for task in tasks:
            task.add_done_callback(ended.append)
        await asyncio.gather(*tasks)
        assert ended == tasks
        found = [task.result().vectors[:, 0] for task in tasks]
        assert [len(set(one)) for one in found] == [1, 1, 1]
        assert len({float(one[0]) for one in found}) == 3
        await shared.close()
        assert sum(map(len, encoder.runs)) == 240

    run(work)


def test_of_short_requests_none_is_passed_over_for_a_shorter_one() -> None:
    async def work() -> None:
        encoder = Slow()
        shared = batcher(encoder, max_tokens=10**6)
        first = await begun(shared, encoder, "first")
        # More than a run holds, the longer half of them first.
        early = [asyncio.ensure_future(shared.embed(["cat " * 60])) for _ in range(40)]
        late = [asyncio.ensure_future(shared.embed(["cat"])) for _ in range(30)]
        await asyncio.sleep(0.01)
        encoder.go.set()
        await asyncio.gather(first, *early, *late)
        assert encoder.runs[1] == [62] * 34
        assert encoder.runs[2] == [62] * 6 + [3] * 30
        await shared.close()

    run(work)


def test_a_full_queue_refuses_at_once_and_says_when_to_come_back() -> None:
    async def work() -> None:
        encoder = Slow()
        shared = batcher(encoder, max_requests=3)
        tasks = [asyncio.ensure_future(shared.embed(["text"])) for _ in range(3)]
        await until(lambda: shared.waiting == 3)
        with pytest.raises(OverloadedError) as caught:
            await shared.embed(["one more"])
        assert caught.value.retry_after >= 1
        encoder.go.set()
        await asyncio.gather(*tasks)
        assert (await shared.embed(["again"])).vectors.shape == (1, 384)
        few = batcher(encoder, max_tokens=20)
        alone = asyncio.ensure_future(few.embed(["word " * 100]))  # whatever its size
        await asyncio.sleep(0)
        with pytest.raises(OverloadedError):
            await few.embed(["word " * 100])
        await alone
        await shared.close()
        await few.close()

    run(work)


def test_who_waits_too_long_is_told_so_before_anything_is_computed() -> None:
    async def work() -> None:
        encoder = Slow()
        shared = batcher(encoder)
        first = await begun(shared, encoder, "in time")
        shared._deadline_s = 0.0
        late = asyncio.ensure_future(shared.embed(["late"]))
        await asyncio.sleep(0)
        now = time.monotonic()
        await until(lambda: time.monotonic() > now)
        encoder.go.set()
        with pytest.raises(DeadlineError):
            await late
        await first
        assert encoder.runs == [[4]]
        await shared.close()

    run(work)


def test_a_request_that_is_given_up_is_not_computed() -> None:
    async def work() -> None:
        encoder = Slow()
        shared = batcher(encoder)
        first = await begun(shared, encoder, "first")
        gone = asyncio.ensure_future(shared.embed(["gone"]))
        stays = asyncio.ensure_future(shared.embed(["it stays"]))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.sleep(0)
        encoder.go.set()
        await asyncio.gather(first, stays)
        assert encoder.runs == [[3], [4]]
        assert shared.waiting == shared.waiting_tokens == 0
        await shared.close()

    run(work)


def test_a_failed_run_fails_its_requests_alone() -> None:
    async def work() -> None:
        class Failing(Slow):
            def embed_tokens(self, tokens: TokenizedTexts) -> Matrix:
                if len(tokens.ids) == 2:
                    raise SessionError("it failed")
                return super().embed_tokens(tokens)

        encoder = Failing()
        encoder.go.set()
        shared = batcher(encoder)
        with pytest.raises(SessionError):
            await shared.embed(["a", "b"])
        assert (await shared.embed(["a"])).vectors.shape == (1, 384)
        assert shared.waiting == shared.waiting_tokens == 0
        await shared.close()

    run(work)


def test_wrong_texts_harm_nobody() -> None:
    async def work() -> None:
        shared = batcher()
        wrong, right = await asyncio.gather(
            shared.embed(["ok", "\ud800"]), shared.embed(["ok"]), return_exceptions=True
        )
        assert isinstance(wrong, InputError)
        assert not isinstance(right, BaseException)
        assert (await shared.embed([])).vectors.shape == (0, 384)
        await shared.close()

    run(work)


def test_closing_finishes_what_was_accepted() -> None:
    async def work() -> None:
        shared = batcher()
        tasks = [asyncio.ensure_future(shared.embed([f"text {n}"] * 50)) for n in range(4)]
        await asyncio.sleep(0)
        await shared.close()
        await asyncio.sleep(0)
        assert all(task.done() for task in tasks)
        for found in await asyncio.gather(*tasks):
            assert found.vectors.shape == (50, 384)

    run(work)
