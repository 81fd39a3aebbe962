"""The language model of a call, as a chain: a turn in, whole sentences out.

Sentences leave whole (`AggregatedTextFrame`), so what is said when a model fails is a number of
complete sentences: the next model is told them and goes on, and nothing is said twice
(`continuation.Seam`). A link that answers turns as a whole, the dialog brain, would say it again or
contradict; where sentences were said, the reply ends with them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import ExitStack
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

from telebot.providers.chain import Chain, ChainListener, Inbox, LinkFailed
from telebot.providers.continuation import Seam, instruction
from telebot.providers.failure import Cause, Failure
from telebot.providers.hedge import Race
from telebot.providers.kept_replies import Reuse
from telebot.providers.link import Link, Port
from telebot.providers.pacing import Priority, Slot


class ChainLLM(Chain):
    """Answers `LLMContextFrame`s. One turn at a time: a new one, or an interruption, ends it."""

    kind = "llm"

    reuse: Reuse | None = None  # of replies to questions asked before, where an agent allows it

    def __init__(
        self, links: Sequence[Link], listener: ChainListener, clock: Callable[[], float]
    ) -> None:
        super().__init__(links, listener, clock)
        self._turn: asyncio.Task[None] | None = None
        self._asked: Port | None = None
        self._places: dict[int, Slot] = {}  # by port: at its vendor, while it works on the turn

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
        if asked is not None:
            await self._hush(asked)

    async def _answer(self, context: LLMContext) -> None:
        await self.push_frame(LLMFullResponseStartFrame())
        question = self.reuse.question(context.get_messages()) if self.reuse else None
        if question is not None and await self._kept(question):
            await self.push_frame(LLMFullResponseEndFrame())
            return
        if probed := self._ports.to_probe():
            self.begin(self._probe(probed, context))
        try:
            await self._have_answered(context, question)
        finally:  # also where a link spoke and its turn was over in the same moment
            for place in self._places.values():
                place.release()
            self._places.clear()
        await self.push_frame(LLMFullResponseEndFrame())

    async def _have_answered(self, context: LLMContext, question: str | None) -> None:
        """By the first link that can; what one said before it failed, the next one goes on with."""
        said: list[str] = []
        left = self._ports.usable()
        while left:
            if said and left[0].link.whole:
                break
            reply, left = await self._ask(left, context, said)
            if reply is None:
                continue
            alone = not said
            try:
                await self._hand_on(reply)
                if self.reuse and question is not None and alone and not reply.acted:
                    self.reuse.offer(question, reply.port.link, said)
                break
            except LinkFailed as failed:
                await self.give_up(reply.port, failed.failure)
                left = [port for port in left if port is not reply.port]
        else:
            self._listener.chain_exhausted(self.kind)

    async def _kept(self, question: str) -> bool:
        """Answer as one of the models did before, where that was kept: nobody is asked."""
        found = self.reuse.find(question, self._ports.preferred()) if self.reuse else None
        if found is None:
            return False
        link, sentences = found
        self._listener.link_served(self.kind, link.name)
        self._listener.link_used(self.kind, link.name, 0.0, "tokens_out")
        for sentence in sentences:
            await self.push_frame(AggregatedTextFrame(sentence, TextType.SENTENCE))
        return True

    async def _ask(
        self, ports: list[Port], context: LLMContext, said: list[str]
    ) -> tuple[_Reply | None, list[Port]]:
        """Have the first of these links answer, or go on behind what was `said`; where it wants to
        be hedged, the next one beside it. Returns the reply that has begun, and the links that did
        not fail."""

        async def begin(port: Port) -> _Reply:
            return await self._begin(port, context, said)

        hedge_s = ports[0].link.patience.hedge_s
        hedged = hedge_s is not None and not said and not any(p.link.whole for p in ports[1:2])
        race = Race(begin, self.give_up, self._hush)
        reply = await race.run(ports[: 2 if hedged else 1], hedge_s if hedged else None)
        if reply is not None:
            self._asked = reply.port
        return reply, [port for port in ports if not any(port is out for out in race.failed)]

    async def _begin(self, port: Port, context: LLMContext, said: list[str]) -> _Reply:
        """Ask one link, once its vendor has a place, which it keeps while it speaks; returns when
        it does. Raises `LinkFailed`."""
        if port.link.pace is not None:
            self._places[id(port)] = await self.slot(port, port.link.pace)
        with ExitStack() as undo:
            undo.callback(self._give_back, port)
            hosted, inbox = await self.ready(port)
            whole = port.link.whole
            reply = _Reply(self, port, inbox, Seam("" if whole else " ".join(said)), said)
            await hosted.feed(LLMContextFrame(context if whole else _onwards(context, said)))
            await reply.first()
            undo.pop_all()
        return reply

    async def _hand_on(self, reply: _Reply) -> None:
        """A link speaks: the caller hears it to its end. Raises `LinkFailed`."""
        self._listener.link_served(self.kind, reply.port.link.name)
        try:
            await reply.rest()
        finally:
            self._give_back(reply.port)
        self._asked = None
        reply.port.link.breaker.succeeded(reply.first_s)

    async def _hush(self, port: Port) -> None:
        """Nobody waits for this link's answer any more."""
        self._inboxes.pop(id(port), None)
        self._give_back(port)
        if port.hosted is not None and port.hosted.up:
            await port.hosted.feed(InterruptionFrame())

    def _give_back(self, port: Port) -> None:
        """The place that its work for the turn had at its vendor, if any."""
        place = self._places.pop(id(port), None)
        if place is not None:
            place.release()

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

    def __init__(
        self, chain: ChainLLM, port: Port, inbox: Inbox, seam: Seam, said: list[str]
    ) -> None:
        self.port = port
        self.first_s: float | None = None  # what it took until the first words
        self.acted = False  # it said more than words
        self._chain = chain
        self._patience = port.link.patience
        self._inbox = inbox
        self._begins: Frame | None = None
        self._seam = seam
        self._said = said
        self._sentences = SimpleTextAggregator()  # type: ignore[no-untyped-call]
        self._clock = chain._clock

    async def first(self) -> None:
        """Until the first words, which wait for `rest`."""
        begun = self._clock()
        self._begins = await first_text(self._inbox, self._patience.first_s)
        if self._begins is None:
            raise LinkFailed(Failure(Cause.EMPTY))
        self.first_s = self._clock() - begun

    async def rest(self) -> None:
        """Everything, to the end."""
        if self._begins is not None:
            await self._take(self._begins)
        while True:
            try:
                frame = await self._inbox.get(self._stall_s())
            except TimeoutError:
                raise LinkFailed(Failure(Cause.STALLED)) from None
            if isinstance(frame, LLMFullResponseEndFrame):
                break
            await self._take(frame)
        await self._text(self._seam.end())
        last = await self._sentences.flush()
        if last is not None:
            await self._say(last.text)

    def _stall_s(self) -> float:
        """Before the first sentence is whole the caller hears nothing yet, as before the first
        word."""
        patience = self._patience
        return patience.stall_s if self._said else min(patience.first_s, patience.stall_s)

    async def _take(self, frame: Frame) -> None:
        if isinstance(frame, LLMTextFrame):
            await self._text(self._seam.feed(frame.text))
        elif not isinstance(frame, LLMFullResponseStartFrame):
            self.acted |= isinstance(frame, FunctionCallsStartedFrame)
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
