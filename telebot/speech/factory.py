"""Puts a conversation together on an admitted call's media stream, out of what all calls share.

`Speech` is owned by `app.py`: one voice detector, one ticker, one turn model, the agents. It is the
`Conversations` of the media socket.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import structlog
from pipecat.pipeline.pipeline import Pipeline
from pipecat.processors.aggregators.llm_context import LLMContext

from telebot.audio import music
from telebot.call.admission import Admission
from telebot.call.events import MediaWire
from telebot.call.model import Call
from telebot.call.ports import CallLog, Clock, Recorder, Recording, WallClock
from telebot.call.session import Session
from telebot.records.cost import Price, built_in
from telebot.settings import Settings
from telebot.speech.agents import Agent
from telebot.speech.audience import Audience, OverheardListener, OverheardLog
from telebot.speech.budget import Budget, Prices
from telebot.speech.conversation import Conversation
from telebot.speech.ear import Ear
from telebot.speech.failover import Failovers, Nobody
from telebot.speech.filler import Fillers
from telebot.speech.gist import Gist
from telebot.speech.music import Music
from telebot.speech.parts import Outside, Parts
from telebot.speech.phrases import Phrase
from telebot.speech.pipeline import CallPipeline
from telebot.speech.replies import Replies
from telebot.speech.transfers import Transfers, Ways
from telebot.speech.transport import PhoneInput
from telebot.speech.turn_model import TurnModelProcess
from telebot.speech.turns import Pace, TurnTaking
from telebot.speech.vad import CallVad, SharedVad
from telebot.speech.voice import Ticker, Voice
from telebot.speech.works import WorksBuilder

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Follows:
    """A conversation as somebody else wants it, who is told how it goes. `since`: when the time of
    its media began, where audio of the caller's may never come to tell."""

    agent: Agent
    audience: Audience
    since: float | None = None


class SaysGoodbye(Protocol):
    """A call whose turns are somebody else's."""

    def goodbye(self, reason: str) -> None:
        """End it, as politely as it can be."""
        ...


class Speech:
    """Everything that speaks and listens in this process. `start` is called for every call."""

    def __init__(
        self,
        settings: Settings,
        agents: Mapping[str, Agent],
        *,
        admission: Admission,
        call_log: CallLog,
        recorder: Recorder,
        clock: Clock,
        wall_clock: WallClock,
        ways: Callable[[Call], Ways],
        price: Price = built_in,
    ) -> None:
        self._settings = settings
        self._agents = agents
        self._admission = admission
        self.log = call_log
        self._recorder = recorder
        self._clock = clock
        self._wall_clock = wall_clock
        self._ways = ways
        self._prices = Prices(price, settings.records.currency)
        self.vad = SharedVad()
        self.ticker = Ticker(settings.media.piece_ms / 1000, clock)
        self.turn_model: TurnModelProcess | None = None
        self.live: dict[str, Conversation] = {}
        self.beside: set[SaysGoodbye] = set()  # calls that are no conversations of ours
        self._ticking: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Start what all calls share."""
        await asyncio.to_thread(music.loop)
        self._ticking = asyncio.create_task(self.ticker.run(), name="ticker")
        if any(self._smart(agent) for agent in self._agents.values()):
            self.turn_model = TurnModelProcess()
            await self.turn_model.start()

    async def close(self) -> None:
        """Stop it again; every conversation must be over."""
        if self._ticking is not None:
            self._ticking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._ticking
        if self.turn_model is not None:
            await self.turn_model.close()

    async def warm_up(self) -> None:
        """Run every kind of pipeline once: the first one of a process takes 0.3 s."""
        for agent in self._agents.values():
            if agent.needs_vendor:
                continue  # no vendor is connected to before there is a caller
            nobody = Nobody()
            thinker, _ = agent.thinker(self._wall_clock, None, nobody)
            stt = agent.stt(nobody)
            pipeline = CallPipeline(Pipeline([PhoneInput(stt), stt, thinker, agent.tts(nobody)]))
            pipeline.start()
            await pipeline.started()
            await pipeline.cancel()

    def turn_model_check(self) -> tuple[bool, Mapping[str, Any]]:
        """How the turn model fares; without it the words decide alone, so it is never a fault."""
        model = self.turn_model
        if model is None:
            return True, {"used": False}
        return True, {
            "used": True,
            "alive": model.alive,
            "asked": model.asked,
            "late": model.late,
            "restarts": model.restarts,
        }

    def goodbye(self, reason: str) -> None:
        """Have every live conversation end with a spoken goodbye."""
        for one in list(self.beside):
            one.goodbye(reason)
        for conversation in list(self.live.values()):
            conversation.goodbye(reason)

    async def start(
        self, call: Call, wire: MediaWire, follows: Follows | None = None
    ) -> Conversation:
        """A conversation on `wire`; its greeting is on the way when this returns. `follows`: by
        another agent than the call names, and somebody listens to it."""
        agent = self._agents[call.agent] if follows is None else follows.agent
        call_log: CallLog = self.log
        if follows is not None:
            call_log = OverheardLog(call_log, follows.audience)
        gist = Gist(call_log, call.offer.phone_person, agent.summary, self._wall_clock)

        def end(reason: str) -> None:
            self._admission.end(call, reason)

        def gone() -> None:
            self.live.pop(call.id, None)

        conversation = Conversation(
            Outside(
                log=gist,
                clock=self._clock,
                wall_clock=self._wall_clock,
                later=asyncio.get_running_loop().call_later,
                hang_up=wire.close,
                end=end,
                gone=gone,
                held=lambda: wire.held,
            )
        )
        self.live[call.id] = conversation
        try:
            conversation.begin(
                self._parts(conversation, call, agent, wire, gist=gist, follows=follows)
            )
        except BaseException:
            del self.live[call.id]
            raise
        return conversation

    def agent(self, name: str) -> Agent:
        """The agent of that name. Raises KeyError."""
        return self._agents[name]

    def _parts(
        self,
        conversation: Conversation,
        call: Call,
        agent: Agent,
        wire: MediaWire,
        *,
        gist: Gist,
        follows: Follows | None,
    ) -> Parts:
        settings, smart = self._settings, self._smart(agent)
        audience = None if follows is None else follows.audience
        failovers = self._failovers(conversation, call, agent, gist)
        later = asyncio.get_running_loop().call_later
        ear, voice = self._sound(call, agent, wire)
        if follows is not None and follows.since is not None:
            ear.stream.begin(follows.since)
        replies = self._replies(conversation, voice, ear, failovers, audience)
        builder = WorksBuilder(
            call=call,
            talk=conversation,
            replies=replies,
            failovers=failovers,
            clock=self._clock,
            now=self._wall_clock,
            audience=audience,
        )
        try:
            works = builder.build(agent)
        except BaseException:
            ear.close()
            raise
        ear.phone_input, ear.vad = works.phone_input, self._detector(conversation)
        return Parts(
            **works.named(),
            call=call,
            ear=ear,
            voice=voice,
            replies=replies,
            turns=TurnTaking(conversation, self._pace(smart), self._clock, later),
            session=Session(agent.settings.call.reprompts),
            builder=builder,
            phrases=_phrases(agent, call),
            agent=agent.settings.call,
            speech=settings.speech,
            providers=failovers.providers,
            turn_model=self.turn_model if smart else None,
            fillers=Fillers.of(agent.settings, agent.phrases),
            transfers=Transfers(
                self._ways(call), Music(voice), gist.summary, conversation.note_event
            ),
            person=agent.person,
            budget=failovers.budget,
        )

    def _failovers(
        self, conversation: Conversation, call: Call, agent: Agent, call_log: CallLog
    ) -> Failovers:
        failovers = Failovers(call, call_log, agent.providers)
        failovers.budget = self.budget(call, agent)
        failovers.note_event = conversation.note_event
        failovers.exhausted = conversation.provider_exhausted
        return failovers

    def _replies(
        self,
        conversation: Conversation,
        voice: Voice,
        ear: Ear,
        failovers: Failovers,
        audience: Audience | None,
    ) -> Replies:
        told = None if audience is None else OverheardListener(conversation, audience)
        replies = Replies(
            voice,
            told or conversation,
            LLMContext(),
            providers=failovers.providers,
            clock=self._clock,
            wall_clock=self._wall_clock,
            stream_ms=ear.stream.ms_at,
            frame_end_ms=ear.reached_ms,
        )
        if told is not None:
            told.index = lambda: replies.index
        failovers.current = lambda: replies.current
        return replies

    def budget(self, call: Call, agent: Agent) -> Budget | None:
        """What a call of this agent may cost."""
        limit = agent.settings.call.budget
        if limit is None:
            return None
        later = asyncio.get_running_loop().call_later
        return Budget(
            limit, self._prices, carrier=call.offer.billed, clock=self._clock, later=later
        )

    def recording(self, call: Call, agent: Agent) -> Recording | None:
        """A call's recording, where one is wanted."""
        records = agent.settings.call.record
        wanted = self._settings.records.recording if records is None else records
        return self._recorder.start(call) if wanted and call.keeps_words else None

    def _sound(self, call: Call, agent: Agent, wire: MediaWire) -> tuple[Ear, Voice]:
        """Both directions of a call's audio, and its recording where it is wanted."""
        media, recording = self._settings.media, self.recording(call, agent)
        ear = Ear(self._clock, recording, self._smart(agent))
        voice = Voice(
            wire,
            self.ticker,
            self._clock,
            piece_ms=media.piece_ms,
            lead_ms=media.lead_ms,
            recording=recording,
            stream_time=ear.stream.sample_at,
        )
        return ear, voice

    def _smart(self, agent: Agent) -> bool:
        chosen = agent.settings.speech.endpointing or self._settings.speech.endpointing
        return chosen == "smart"

    def _pace(self, smart: bool) -> Pace:
        speech = self._settings.speech
        return Pace(
            smart=smart,
            incomplete_wait_s=speech.incomplete_wait_s,
            turn_timeout_s=speech.turn_timeout_s,
            barge_in_s=speech.barge_in_s,
            backchannel_wait_s=speech.backchannel_wait_s,
        )

    def _detector(self, conversation: Conversation) -> CallVad:
        speech = self._settings.speech
        return CallVad(
            self.vad,
            conversation,
            confidence=speech.vad_confidence,
            start_s=speech.vad_start_s,
            stop_s=speech.vad_stop_s,
            gate=speech.energy_gate,
        )


def _phrases(agent: Agent, call: Call) -> Mapping[str, Phrase]:
    """What the agent says word for word; whom we have rung up may be greeted otherwise."""
    other = agent.phrases.get("greeting_outbound") if call.offer.outbound else None
    return agent.phrases if other is None else {**agent.phrases, "greeting": other}
