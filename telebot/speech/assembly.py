"""Puts one conversation together on its media stream, out of what all calls share.

`factory.py:Speech` owns that and asks for it; what comes out is `parts.py:Parts`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass

from pipecat.processors.aggregators.llm_context import LLMContext

from telebot.agent_settings import AgentSettings
from telebot.audio.line import PHONE, Form, Line
from telebot.call.events import MediaWire
from telebot.call.model import Call
from telebot.call.ports import Clock, Recorder, Recording, WallClock
from telebot.call.session import Session
from telebot.settings import Settings
from telebot.speech.agents import Agent
from telebot.speech.audience import Audience, OverheardListener
from telebot.speech.budget import Budget, Prices
from telebot.speech.conversation import Conversation
from telebot.speech.ear import Ear
from telebot.speech.failover import Failovers
from telebot.speech.filler import Fillers
from telebot.speech.gist import Gist
from telebot.speech.music import Music
from telebot.speech.parts import Parts
from telebot.speech.phrases import Phrase
from telebot.speech.replies import Replies
from telebot.speech.transfers import Transfers, Ways
from telebot.speech.turn_model import TurnModelProcess
from telebot.speech.turns import Pace, TurnTaking
from telebot.speech.vad import CallVad, SharedVad
from telebot.speech.voice import Ticker, Voice
from telebot.speech.works import WorksBuilder


@dataclass(frozen=True, slots=True)
class Follows:
    """A conversation as somebody else wants it, who is told how it goes. `since`: when the time of
    its media began, where audio of the caller's may never come to tell."""

    agent: Agent
    audience: Audience
    since: float | None = None


def smart(settings: Settings, agent: AgentSettings) -> bool:
    """The turn model has a say in when a turn of this agent's callers is over."""
    return (agent.speech.endpointing or settings.speech.endpointing) == "smart"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What all calls share, and what each of them gets by the settings."""

    settings: Settings
    recorder: Recorder
    clock: Clock
    wall_clock: WallClock
    ways: Callable[[Call], Ways]
    prices: Prices
    vads: dict[Form, SharedVad]
    ticker: Ticker

    def smart(self, agent: Agent) -> bool:
        """The turn model has a say in when a turn is over."""
        return smart(self.settings, agent.settings)

    def budget(self, call: Call, agent: Agent) -> Budget | None:
        """What a call of this agent may cost."""
        limit = agent.settings.call.budget
        if limit is None:
            return None
        later = asyncio.get_running_loop().call_later
        return Budget(limit, self.prices, carrier=call.offer.billed, clock=self.clock, later=later)

    def vad(self, form: Form) -> SharedVad:
        """The detector of all calls whose audio has this form."""
        if form not in self.vads:
            self.vads[form] = self.vads[PHONE.hears].beside(form)
        return self.vads[form]

    def recording(self, call: Call, agent: Agent, line: Line) -> Recording | None:
        """A call's recording, where one is wanted."""
        records = agent.settings.call.record
        wanted = self.settings.records.recording if records is None else records
        return self.recorder.start(call, line) if wanted and call.keeps_words else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Assembly:
    """Of one conversation, which is there already: the parts tell it what they find."""

    shared: Shared
    conversation: Conversation
    call: Call
    agent: Agent
    wire: MediaWire
    gist: Gist
    follows: Follows | None
    turn_model: TurnModelProcess | None

    def parts(self) -> Parts:
        """Everything, not begun. What providers raise where they cannot be built is raised."""
        shared, conversation, call, agent = self.shared, self.conversation, self.call, self.agent
        failovers = self._failovers()
        ear, voice = self._sound()
        replies = self._replies(voice, ear, failovers)
        builder = self._builder(replies, failovers)
        with ExitStack() as undo:
            undo.callback(ear.close)
            works = builder.build(agent)
            undo.pop_all()
        ear.phone_input, ear.vad = works.phone_input, self._detector()
        later = asyncio.get_running_loop().call_later
        ways, note_event = shared.ways(call), conversation.note_event
        return Parts(
            **works.named(),
            call=call,
            ear=ear,
            voice=voice,
            replies=replies,
            turns=TurnTaking(conversation.answering, self._pace(), shared.clock, later),
            session=Session(agent.settings.call.reprompts),
            builder=builder,
            phrases=_phrases(agent, call),
            agent=agent.settings.call,
            speech=shared.settings.speech,
            providers=failovers.providers,
            turn_model=self.turn_model if shared.smart(agent) else None,
            fillers=Fillers.of(agent.settings, agent.phrases),
            transfers=Transfers(ways, Music(voice), self.gist.summary, note_event),
            person=agent.person,
            budget=failovers.budget,
        )

    def _failovers(self) -> Failovers:
        failovers = Failovers(self.call, self.gist, self.agent.providers)
        failovers.budget = self.shared.budget(self.call, self.agent)
        failovers.note_event = self.conversation.note_event
        failovers.exhausted = self.conversation.provider_exhausted
        return failovers

    def _sound(self) -> tuple[Ear, Voice]:
        """Both directions of a call's audio, and its recording where it is wanted."""
        shared, media, line = self.shared, self.shared.settings.media, self.wire.line
        recording = shared.recording(self.call, self.agent, line)
        ear = Ear(shared.clock, recording, shared.smart(self.agent), line.hears)
        if self.follows is not None and self.follows.since is not None:
            ear.stream.begin(self.follows.since)
        voice = Voice(
            self.wire,
            shared.ticker,
            shared.clock,
            piece_ms=media.piece_ms,
            lead_ms=media.lead_ms,
            recording=recording,
            stream_time=ear.stream.sample_at,
        )
        return ear, voice

    def _replies(self, voice: Voice, ear: Ear, failovers: Failovers) -> Replies:
        answering, told = self.conversation.answering, None
        if self.follows is not None:
            told = OverheardListener(answering, self.follows.audience)
        replies = Replies(
            voice,
            told or answering,
            LLMContext(),
            providers=failovers.providers,
            clock=self.shared.clock,
            wall_clock=self.shared.wall_clock,
            stream_ms=ear.stream.ms_at,
            frame_end_ms=ear.reached_ms,
        )
        if told is not None:
            told.index = lambda: replies.index
        failovers.current = lambda: replies.current
        return replies

    def _builder(self, replies: Replies, failovers: Failovers) -> WorksBuilder:
        return WorksBuilder(
            call=self.call,
            heard=self.conversation.caller,
            answers=self.conversation.answering,
            replies=replies,
            failovers=failovers,
            clock=self.shared.clock,
            now=self.shared.wall_clock,
            audience=None if self.follows is None else self.follows.audience,
            line=self.wire.line,
        )

    def _pace(self) -> Pace:
        speech = self.shared.settings.speech
        return Pace(
            smart=self.shared.smart(self.agent),
            incomplete_wait_s=speech.incomplete_wait_s,
            turn_timeout_s=speech.turn_timeout_s,
            barge_in_s=speech.barge_in_s,
            backchannel_wait_s=speech.backchannel_wait_s,
        )

    def _detector(self) -> CallVad:
        speech = self.shared.settings.speech
        return CallVad(
            self.shared.vad(self.wire.line.hears),
            self.conversation.caller,
            confidence=speech.vad_confidence,
            start_s=speech.vad_start_s,
            stop_s=speech.vad_stop_s,
            gate=speech.energy_gate,
        )


def _phrases(agent: Agent, call: Call) -> Mapping[str, Phrase]:
    """What the agent says word for word; whom we have rung up may be greeted otherwise."""
    other = agent.phrases.get("greeting_outbound") if call.offer.outbound else None
    return agent.phrases if other is None else {**agent.phrases, "greeting": other}
