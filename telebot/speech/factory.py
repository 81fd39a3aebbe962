"""Puts a conversation together on an admitted call's media stream, out of what all calls share.

`Speech` is owned by `app.py`: one voice detector, one ticker, one turn model, the agents. It is the
`Conversations` of the media socket.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from typing import Any

import structlog
from pipecat.frames.frames import ErrorFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.processors.aggregators.llm_context import LLMContext

from telebot.audio import music
from telebot.call.admission import Admission
from telebot.call.events import MediaWire
from telebot.call.model import Call
from telebot.call.ports import CallLog, Clock, Recorder, WallClock
from telebot.call.session import Session
from telebot.records.cost import Price, built_in
from telebot.settings import Settings
from telebot.speech.agents import Agent
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
from telebot.speech.services import services
from telebot.speech.transfers import Transfers, Ways
from telebot.speech.transport import PhoneInput, PhoneOutput, TurnGate
from telebot.speech.turn_model import TurnModelProcess
from telebot.speech.turns import Pace, TurnTaking
from telebot.speech.vad import CallVad, SharedVad
from telebot.speech.voice import Ticker, Voice

log = structlog.get_logger()


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
        self._log = call_log
        self._recorder = recorder
        self._clock = clock
        self._wall_clock = wall_clock
        self._ways = ways
        self._prices = Prices(price, settings.records.currency)
        self.vad = SharedVad()
        self.ticker = Ticker(settings.media.piece_ms / 1000, clock)
        self.turn_model: TurnModelProcess | None = None
        self.live: dict[str, Conversation] = {}
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
        for conversation in list(self.live.values()):
            conversation.goodbye(reason)

    async def start(self, call: Call, wire: MediaWire) -> Conversation:
        """A conversation on `wire`; its greeting is on the way when this returns."""
        agent = self._agents[call.agent]
        gist = Gist(self._log, call.offer.phone_person, agent.summary, self._wall_clock)

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
            conversation.begin(self._parts(conversation, call, agent, wire, gist))
        except BaseException:
            del self.live[call.id]
            raise
        return conversation

    def _parts(
        self,
        conversation: Conversation,
        call: Call,
        agent: Agent,
        wire: MediaWire,
        gist: Gist,
    ) -> Parts:
        settings, smart = self._settings, self._smart(agent)
        failovers = self._failovers(conversation, call, agent)
        context = LLMContext()
        made = services(
            agent,
            failovers,
            context,
            now=self._wall_clock,
            caller=call.offer.phone_person or None,
            clock=self._clock,
            after_reply=conversation.after_reply,
        )
        phone_input = PhoneInput(made.ears)
        gate = TurnGate(conversation, context)
        later = asyncio.get_running_loop().call_later
        turns = TurnTaking(conversation, self._pace(smart), self._clock, later)
        ear, voice = self._sound(call, agent, wire)
        ear.phone_input, ear.vad = phone_input, self._detector(conversation)
        replies = self._replies(conversation, voice, ear, context, failovers)
        made.use(replies)
        failovers.current = lambda: replies.current
        return Parts(
            call=call,
            ear=ear,
            voice=voice,
            replies=replies,
            turns=turns,
            session=Session(agent.settings.call.reprompts),
            mind=made.mind,
            pipeline=CallPipeline(
                Pipeline([phone_input, made.ears, gate, *made.mouth, PhoneOutput(replies)]),
                on_started=phone_input.go_live,
                on_error=_told(conversation, call),
            ),
            phone_input=phone_input,
            gate=gate,
            pause_stt=getattr(made.ears, "pause", _nothing),
            resume_stt=getattr(made.ears, "resume", _nothing),
            settle_stt=getattr(made.ears, "settle", _nothing),
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

    def _failovers(self, conversation: Conversation, call: Call, agent: Agent) -> Failovers:
        failovers = Failovers(call, self._log, agent.providers)
        failovers.budget = self._budget(call, agent)
        failovers.note_event = conversation.note_event
        failovers.exhausted = conversation.provider_exhausted
        return failovers

    def _replies(
        self,
        conversation: Conversation,
        voice: Voice,
        ear: Ear,
        context: LLMContext,
        failovers: Failovers,
    ) -> Replies:
        return Replies(
            voice,
            conversation,
            context,
            providers=failovers.providers,
            clock=self._clock,
            wall_clock=self._wall_clock,
            stream_ms=ear.stream.ms_at,
            frame_end_ms=lambda: ear.last_frame_end_ms,
        )

    def _budget(self, call: Call, agent: Agent) -> Budget | None:
        limit = agent.settings.call.budget
        if limit is None:
            return None
        later = asyncio.get_running_loop().call_later
        return Budget(
            limit, self._prices, carrier=call.offer.carrier, clock=self._clock, later=later
        )

    def _sound(self, call: Call, agent: Agent, wire: MediaWire) -> tuple[Ear, Voice]:
        """Both directions of a call's audio, and its recording where it is wanted."""
        media, records = self._settings.media, agent.settings.call.record
        wanted = self._settings.records.recording if records is None else records
        recording = self._recorder.start(call) if wanted else None
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


def _told(conversation: Conversation, call: Call) -> Callable[[ErrorFrame], None]:
    """What is done about an error that a provider's service reports."""

    def failed(frame: ErrorFrame) -> None:
        kind = type(frame.exception).__name__ if frame.exception else None
        by = getattr(frame.processor, "name", None)
        log.warning("provider error", call_id=call.id, by=by, error=kind, text=frame.error)
        conversation.provider_failed()

    return failed


def _phrases(agent: Agent, call: Call) -> Mapping[str, Phrase]:
    """What the agent says word for word; whom we have rung up may be greeted otherwise."""
    other = agent.phrases.get("greeting_outbound") if call.offer.outbound else None
    return agent.phrases if other is None else {**agent.phrases, "greeting": other}


def _nothing() -> None:
    """What a recogniser without the like of it does."""
