"""Begins a conversation on an admitted call's media stream, and owns what all calls share.

`Speech` is owned by `app.py`: one voice detector, one ticker, one turn model, the agents. It is the
`Conversations` of the media socket. Next: `assembly.py` puts each conversation together.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from pipecat.pipeline.pipeline import Pipeline

from telebot.audio import music
from telebot.audio.line import PHONE, Line
from telebot.call.admission import Admission
from telebot.call.events import MediaWire
from telebot.call.model import Call
from telebot.call.ports import CallLog, Clock, Recorder, Recording, WallClock
from telebot.records.cost import Price, built_in
from telebot.settings import Settings
from telebot.speech.agents import Agent
from telebot.speech.assembly import Assembly, Follows, Shared
from telebot.speech.audience import OverheardLog
from telebot.speech.budget import Budget, Prices
from telebot.speech.conversation import Conversation
from telebot.speech.failover import Nobody
from telebot.speech.gist import Gist
from telebot.speech.parts import Outside
from telebot.speech.pipeline import CallPipeline
from telebot.speech.transfers import Ways
from telebot.speech.transport import PhoneInput
from telebot.speech.turn_model import TurnModelProcess
from telebot.speech.vad import SharedVad
from telebot.speech.voice import Ticker


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
        turn_model: TurnModelProcess | None = None,
    ) -> None:
        """`turn_model`: one that has begun to start, for when an agent wants it."""
        self._agents = agents
        self._admission = admission
        self.log = call_log
        self.vads = {PHONE.hears: SharedVad()}  # by the form of what they hear
        self._shared = Shared(
            settings=settings,
            recorder=recorder,
            clock=clock,
            wall_clock=wall_clock,
            ways=ways,
            prices=Prices(price, settings.records.currency),
            vads=self.vads,
            ticker=Ticker(settings.media.piece_ms / 1000, clock),
        )
        self.turn_model = turn_model
        self.live: dict[str, Conversation] = {}
        self.beside: set[SaysGoodbye] = set()  # calls that are no conversations of ours
        self._ticking: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Start what all calls share."""
        await asyncio.to_thread(music.loop)
        self._ticking = asyncio.create_task(self._shared.ticker.run(), name="ticker")
        if any(self._shared.smart(agent) for agent in self._agents.values()):
            self.turn_model = self.turn_model or TurnModelProcess()
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
        done: set[tuple[str, ...]] = set()
        for agent in self._agents.values():
            kind = tuple(plan.name for plans in agent.plans.values() for plan in plans)
            if agent.needs_vendor or kind in done:
                continue  # no vendor is connected to before there is a caller
            done.add(kind)
            nobody = Nobody()
            thinker, _ = agent.thinker(self._shared.wall_clock, None, nobody)
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
        shared, call_log = self._shared, self.log
        if follows is not None:
            call_log = OverheardLog(call_log, follows.audience)
        gist = Gist(call_log, call.offer.phone_person, agent.summary, shared.wall_clock)

        def end(reason: str) -> None:
            self._admission.end(call, reason)

        def gone() -> None:
            self.live.pop(call.id, None)

        conversation = Conversation(
            Outside(
                log=gist,
                clock=shared.clock,
                wall_clock=shared.wall_clock,
                later=asyncio.get_running_loop().call_later,
                hang_up=wire.close,
                end=end,
                gone=gone,
                held=lambda: wire.held,
            )
        )
        assembly = Assembly(
            shared=shared,
            conversation=conversation,
            call=call,
            agent=agent,
            wire=wire,
            gist=gist,
            follows=follows,
            turn_model=self.turn_model,
        )
        self.live[call.id] = conversation
        with contextlib.ExitStack() as undo:
            undo.callback(gone)
            conversation.begin(assembly.parts())
            undo.pop_all()
        return conversation

    def agent(self, name: str) -> Agent:
        """The agent of that name. Raises KeyError."""
        return self._agents[name]

    def budget(self, call: Call, agent: Agent) -> Budget | None:
        """What a call of this agent may cost."""
        return self._shared.budget(call, agent)

    def recording(self, call: Call, agent: Agent, line: Line) -> Recording | None:
        """A call's recording, where one is wanted."""
        return self._shared.recording(call, agent, line)
