"""The language model of a call, as a chain: a turn in, whole sentences out.

Sentences leave whole (`AggregatedTextFrame`), so what is said when a model fails is a number of
complete sentences: the next model is told them and goes on, and nothing is said twice
(`continuation.Seam`). A link that answers turns as a whole, the dialog brain, begins its answer
behind them.
"""

from __future__ import annotations

import asyncio
from typing import Any

from pipecat.frames.frames import (
    AggregatedTextFrame,
    Frame,
    FunctionCallsStartedFrame,
    InterruptionFrame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    MetricsFrame,
)
from pipecat.metrics.metrics import LLMUsageMetricsData
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.utils.text.base_text_aggregator import TextType
from pipecat.utils.text.simple_text_aggregator import SimpleTextAggregator

from telebot.providers.chain import Chain, Inbox, LinkFailed
from telebot.providers.continuation import Seam, instruction
from telebot.providers.failure import Cause, Failure
from telebot.providers.link import Port
from telebot.providers.pacing import Priority


class ChainLLM(Chain):
    """Answers `LLMContextFrame`s. One turn at a time: a new one, or an interruption, ends it."""

    kind = "llm"

    _turn: asyncio.Task[None] | None = None
    _asked: Port | None = None

    async def work(self, frame: Frame) -> None:
        if isinstance(frame, LLMContextFrame):
            await self._stop_turn()
            self._turn = self.begin(self._answer(frame.context))
        elif isinstance(frame, InterruptionFrame):
            await self._stop_turn()
            await self.push_frame(frame)
        else:
            await self.push_frame(frame)

    async def _stop_turn(self) -> None:
        turn, self._turn = self._turn, None
        if turn is None or turn.done():
            return
        turn.cancel()
        await asyncio.gather(turn, return_exceptions=True)
        asked, self._asked = self._asked, None
        if asked is not None and asked.hosted is not None:
            self._inboxes.pop(id(asked), None)
            await asked.hosted.feed(InterruptionFrame())

    async def _answer(self, context: LLMContext) -> None:
        await self.push_frame(LLMFullResponseStartFrame())
        if probed := self._ports.to_probe():
            self.begin(self._probe(probed, context))
        said: list[str] = []
        for port in self._ports.usable():
            try:
                async with self.paced(port):
                    await self._ask(port, context, said)
                break
            except LinkFailed as failed:
                await self.give_up(port, failed.failure)
        else:
            self._listener.chain_exhausted(self.kind)
        await self.push_frame(LLMFullResponseEndFrame())

    async def _ask(self, port: Port, context: LLMContext, said: list[str]) -> None:
        """Have one link answer, or go on behind what was `said`. Raises `LinkFailed`."""
        hosted, inbox = await self.ready(port)
        self._asked = port
        begun = self._clock()
        whole = port.link.whole
        await hosted.feed(LLMContextFrame(context if whole else _onwards(context, said)))
        reply = _Reply(self, port, Seam("" if whole else " ".join(said)), said)
        first_s = await reply.first(inbox)
        self._listener.link_served(self.kind, port.link.name)
        await reply.rest(inbox)
        self._asked = None
        port.link.breaker.succeeded(first_s if first_s is not None else self._clock() - begun)

    async def _probe(self, port: Port, context: LLMContext) -> None:
        """Try a link whose breaker was open, beside the one that answers the caller."""
        try:
            async with self.paced(port, priority=Priority.OTHER):
                hosted, inbox = await self.ready(port)
                begun = self._clock()
                await hosted.feed(LLMContextFrame(_onwards(context, [])))
                await first_text(inbox, 2 * port.link.patience.first_s)
        except LinkFailed as failed:
            await self.give_up(port, failed.failure)
            return
        port.link.breaker.succeeded(self._clock() - begun)
        await hosted.feed(InterruptionFrame())

    def metered(self, port: Port, frame: MetricsFrame) -> None:
        for data in frame.data:
            if isinstance(data, LLMUsageMetricsData):
                used = data.value
                self._listener.link_used(self.kind, port.link.name, used.prompt_tokens, "tokens_in")
                self._listener.link_used(
                    self.kind, port.link.name, used.completion_tokens, "tokens_out"
                )


class _Reply:
    """One link's part of a reply, on its way to the voice."""

    def __init__(self, chain: ChainLLM, port: Port, seam: Seam, said: list[str]) -> None:
        self._chain = chain
        self._patience = port.link.patience
        self._seam = seam
        self._said = said
        self._sentences = SimpleTextAggregator()  # type: ignore[no-untyped-call]
        self._acted = False
        self._clock = chain._clock

    async def first(self, inbox: Inbox) -> float | None:
        """Until the first words. Returns the seconds it took."""
        begun = self._clock()
        frame = await first_text(inbox, self._patience.first_s)
        if frame is None:
            raise LinkFailed(Failure(Cause.EMPTY))
        await self._take(frame)
        return self._clock() - begun

    async def rest(self, inbox: Inbox) -> None:
        while True:
            try:
                frame = await inbox.get(self._patience.stall_s)
            except TimeoutError:
                raise LinkFailed(Failure(Cause.STALLED)) from None
            if isinstance(frame, LLMFullResponseEndFrame):
                break
            await self._take(frame)
        await self._text(self._seam.end())
        last = await self._sentences.flush()
        if last is not None:
            await self._say(last.text)

    async def _take(self, frame: Frame) -> None:
        if isinstance(frame, LLMTextFrame):
            await self._text(self._seam.feed(frame.text))
        elif not isinstance(frame, LLMFullResponseStartFrame):
            await self._chain.push_frame(frame)

    async def _text(self, text: str) -> None:
        if text:
            async for sentence in self._sentences.aggregate(text):
                await self._say(sentence.text)

    async def _say(self, sentence: str) -> None:
        if sentence.strip():
            self._said.append(sentence.strip())
            await self._chain.push_frame(AggregatedTextFrame(sentence, TextType.SENTENCE))


async def first_text(inbox: Inbox, timeout_s: float) -> Frame | None:
    """The first words or function call of the answer to the request just made; None for an answer
    without any. Raises `LinkFailed`."""
    started = False
    loop = asyncio.get_running_loop()
    until = loop.time() + timeout_s
    try:
        while True:
            frame = await inbox.get(max(0.0, until - loop.time()))
            if isinstance(frame, LLMFullResponseStartFrame):
                started = True
            elif not started:
                continue  # of the request before, which was interrupted
            elif isinstance(frame, FunctionCallsStartedFrame) or _has_text(frame):
                return frame
            elif isinstance(frame, LLMFullResponseEndFrame):
                return None
    except TimeoutError:
        raise LinkFailed(Failure(Cause.SLOW_FIRST)) from None


def _has_text(frame: Frame) -> bool:
    return isinstance(frame, LLMTextFrame) and bool(frame.text)


def _onwards(context: LLMContext, said: list[str]) -> LLMContext:
    """The conversation for one link: its own copy, with what was said already where it goes on."""
    messages: list[Any] = list(context.get_messages())
    if said:
        messages.append(instruction(" ".join(said)))
    return LLMContext(messages, tools=context.tools)
