"""Long texts are read in turns: nobody waits for another's megabytes, or for ever."""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from minilm_onnx import InputError, SentenceEncoder
from minilm_onnx.text.tokens import TokenizedTexts

pytest.importorskip("starlette", reason="minilm-onnx[server] is not installed")

from minilm_onnx.server.errors import DeadlineError
from minilm_onnx.server.tokenizing import LoopTokenizer

SHARED = SentenceEncoder()
LONG = "a word, " * 40_000


class Counting:
    """An encoder that notes whose turn it is, and waits before the first."""

    with_default_prompt = SHARED.with_default_prompt

    def __init__(self) -> None:
        self.turns: list[str] = []
        self.go = threading.Event()

    def tokenize_texts(self, texts: Sequence[str]) -> TokenizedTexts:
        assert self.go.wait(60)
        self.turns.append(texts[0][0])
        return SHARED.tokenize_texts(texts)

    def in_turns(self, texts: Sequence[str], first: int) -> Iterator[TokenizedTexts]:
        for found in LoopTokenizer(SHARED, 60.0)._in_turns(texts, first):
            assert self.go.wait(60)
            self.turns.append(texts[0][0])
            yield found

    def reader(self) -> LoopTokenizer:
        tokenizer = LoopTokenizer(self, 60.0)  # type: ignore[arg-type]  # as far as it is needed
        tokenizer._in_turns = self.in_turns  # type: ignore[method-assign]
        return tokenizer


async def settled(*tasks: "asyncio.Task[Any]") -> None:
    """Let tasks begin to wait."""
    for _ in range(3):
        await asyncio.sleep(0)


def test_requests_are_read_in_turns() -> None:
    async def work() -> None:
        encoder = Counting()
        tokenizer = encoder.reader()
        first = asyncio.create_task(tokenizer.tokenize(["1" + LONG * 4]))
        await settled(first)
        second = asyncio.create_task(tokenizer.tokenize(["2" + LONG * 4, "2", "2" * 5000]))
        third = asyncio.create_task(tokenizer.tokenize(["3 words " * 1000]))
        await settled(second, third)
        encoder.go.set()
        await third
        assert not first.done()
        assert not second.done()
        found = await first, await second, await third
        tokenizer.close()
        assert encoder.turns[:5] == ["1", "2", "3", "1", "2"]
        for texts, tokens in zip(
            (["1" + LONG * 4], ["2" + LONG * 4, "2", "2" * 5000], ["3 words " * 1000]),
            found,
            strict=True,
        ):
            expected = SHARED.tokenize_texts(texts)
            assert [row.tolist() for row in tokens.ids] == [row.tolist() for row in expected.ids]
            assert tokens.reports == expected.reports

    asyncio.run(work())


def test_who_has_no_turn_in_time_is_told_so() -> None:
    async def work() -> None:
        encoder = Counting()
        tokenizer = encoder.reader()
        first = asyncio.create_task(tokenizer.tokenize(["1" + LONG * 4]))
        await settled(first)
        tokenizer._deadline_s = 0.0
        late = asyncio.create_task(tokenizer.tokenize(["2" + LONG]))
        await settled(late)
        encoder.go.set()
        with pytest.raises(DeadlineError):
            await late
        assert (await first).reports == SHARED.tokenize_texts(["1" + LONG * 4]).reports
        assert set(encoder.turns) == {"1"}
        tokenizer.close()

    asyncio.run(work())


def test_who_leaves_has_no_further_turn() -> None:
    async def work() -> None:
        encoder = Counting()
        tokenizer = encoder.reader()
        first = asyncio.create_task(tokenizer.tokenize(["1" + LONG * 4]))
        await settled(first)
        second = asyncio.create_task(tokenizer.tokenize(["2" + LONG]))
        await settled(second)
        first.cancel()
        await settled()
        encoder.go.set()
        await second
        tokenizer.close()
        assert encoder.turns.count("1") <= 1

    asyncio.run(work())


def test_a_wrong_text_is_named_by_its_place() -> None:
    async def work() -> None:
        tokenizer = LoopTokenizer(SHARED, 60.0)
        for texts, words in (
            (["a" * 5000, LONG, "\ud800"], r"texts\[2\]: expected valid Unicode"),
            (["a"] * 300 + ["é" * (2**20 + 1)], r"texts\[300\]: .* without a space"),
        ):
            with pytest.raises(InputError, match=words):
                await tokenizer.tokenize(texts)
        tokenizer.close()

    asyncio.run(work())
