"""What hears, thinks and speaks in one call, as the pipeline's parts: a recogniser, a language
model and a voice, or one session of speech to speech that is all of them, with the three behind it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from pipecat.frames.frames import Frame, TextFrame
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameProcessor

from telebot.audio.line import Line
from telebot.call.ports import Clock
from telebot.dialog.actions import Action, EndCall, Transfer
from telebot.providers.chain import Chain
from telebot.providers.realtime import END_CALL, TRANSFER
from telebot.providers.realtime_usual import UsualParts
from telebot.speech.agents import Agent
from telebot.speech.brain import DIGITS_PREFIX, Mind
from telebot.speech.failover import Failovers
from telebot.speech.replies import Replies

GOODBYE = re.compile(r"\b(?:good[- ]?bye|bye(?:[- ]bye)?)\W*$", re.IGNORECASE)


@dataclass(slots=True)
class Services:
    """`ears` stands before the gate of turns, `mouth` behind it."""

    ears: Any  # a recogniser: a frame processor with `process_audio_frame`
    mouth: Sequence[FrameProcessor]
    mind: Mind
    use: Callable[[Replies], None]
    """To be called with the call's replies before the pipeline starts."""


class RealtimeMind:
    """The mind of a call whose brain is a session: it ends the call, or puts the caller through,
    where the model says so. `after_reply` has actions done once the reply is heard."""

    def __init__(self, person: Transfer | None) -> None:
        self._person = person
        self._actions: Sequence[Action] = ()
        self._counts = False  # the reply under way is being heard
        self.after_reply: Callable[[list[Action]], None] = lambda actions: None
        self.usual: Mind | None = None  # where the usual chain has taken over

    @property
    def expects(self) -> str | None:
        return None if self.usual is None else self.usual.expects

    def understands(self, text: str) -> bool:
        return self.usual is None or self.usual.understands(text)

    def commit(self) -> Sequence[Action]:
        if self.usual is not None:
            return self.usual.commit()
        self._counts = True
        actions, self._actions = self._actions, ()
        return actions

    def discard(self) -> None:
        self._actions = ()
        if self.usual is not None:
            self.usual.discard()

    def reply_begins(self) -> None:
        self._actions, self._counts = (), False

    def reply_said(self, text: str, called: Sequence[str]) -> None:
        """What follows from a reply is known at its end, when it may have been heard in part."""
        actions: list[Action] = []
        if TRANSFER in called and self._person is not None:
            actions.append(self._person)
        elif END_CALL in called or GOODBYE.search(text):
            actions.append(EndCall("goodbye"))
        if actions and self._counts:
            self.after_reply(actions)
        else:
            self._actions = actions


class _Tells:
    """The listener of a chain of sessions: the call's own, and its mind."""

    def __init__(self, failovers: Failovers, mind: RealtimeMind) -> None:
        self.link_served = failovers.link_served
        self.link_failed = failovers.link_failed
        self.link_used = failovers.link_used
        self.chain_exhausted = failovers.chain_exhausted
        self.reply_begins = mind.reply_begins
        self.reply_said = mind.reply_said


def services(
    agent: Agent,
    failovers: Failovers,
    context: LLMContext,
    *,
    now: Callable[[], datetime],
    caller: str | None,
    clock: Clock,
    after_reply: Callable[[list[Action]], None],
    line: Line,
) -> Services:
    """The services of one call of `agent`, which hear and speak at `line`."""
    timed: list[FrameProcessor] = []
    replies: list[Replies] = []

    def usual() -> tuple[UsualParts, Mind]:
        thinker, mind = agent.thinker(now, caller, failovers)
        tts = agent.tts(failovers, line)
        timed.append(tts)
        for each in replies:
            _time_parts(tts, each, clock)
        stt = agent.stt(failovers, line)
        if failovers.budget is not None:
            failovers.budget.watch(p for p in (stt, thinker, tts) if isinstance(p, Chain))
        return UsualParts(stt, thinker, tts), mind

    def use(of: Replies) -> None:
        replies.append(of)
        for tts in timed:
            _time_parts(tts, of, clock)

    if not agent.plans["realtime"]:
        parts, mind = usual()
        return Services(parts.stt, [parts.llm, parts.tts], mind, use)
    realtime = RealtimeMind(agent.person)
    realtime.after_reply = after_reply

    def last() -> UsualParts:
        parts, realtime.usual = usual()
        parts = replace(parts, whole=agent.dialog_alone)
        failovers.providers.update(agent.usual_providers)
        current = failovers.current()
        if current is not None and current.caller_text is not None:
            current.providers.update(agent.usual_providers)
        return parts

    chain = agent.realtime(_Tells(failovers, realtime), context, last, DIGITS_PREFIX)

    def use_realtime(of: Replies) -> None:
        use(of)
        chain.played = of
        of.phrase_voice = agent.plans["tts"][0].name

    return Services(chain.ears, [chain], realtime, use_realtime)


def _time_parts(tts: FrameProcessor, replies: Replies, clock: Clock) -> None:
    """Note when the first token of a reply came and when its first audio was asked for."""

    async def before_frame(_tts: FrameProcessor, frame: Frame) -> None:
        reply = replies.current
        if isinstance(frame, TextFrame) and reply is not None and reply.first_token_at is None:
            reply.first_token_at = clock()

    async def asked(_tts: FrameProcessor, *_: Any) -> None:
        reply = replies.current
        if reply is not None and reply.tts_asked_at is None:
            reply.tts_asked_at = clock()

    tts.add_event_handler("on_before_process_frame", before_frame)
    tts.add_event_handler("on_tts_request", asked)
