"""What hears, thinks and speaks in one conversation, put together as a Pipecat pipeline.

`assembly.py` builds the first one of a call; `changing.py` may put others in its place later, which
is why a conversation's context, voice, ear and turn taking are not part of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Protocol

import structlog
from pipecat.frames.frames import ErrorFrame
from pipecat.pipeline.pipeline import Pipeline

from telebot.audio.line import PHONE, Line
from telebot.call.model import Call
from telebot.call.ports import Clock, WallClock
from telebot.dialog.actions import Action
from telebot.speech.agents import Agent
from telebot.speech.audience import Audience, Overheard, OverheardGate
from telebot.speech.brain import Mind
from telebot.speech.failover import Failovers
from telebot.speech.pipeline import CallPipeline
from telebot.speech.replies import Replies
from telebot.speech.services import services
from telebot.speech.transport import Heard, PhoneInput, PhoneOutput, TurnGate

log = structlog.get_logger()


class Answers(Protocol):
    """What those who make the replies tell the conversation."""

    def after_reply(self, actions: list[Action]) -> None: ...

    def provider_failed(self) -> None: ...


@dataclass(slots=True)
class Works:
    """A pipeline and the handles by which a conversation uses it. Whoever starts `pipeline` ends
    it, and lets go before that, so that nothing it still says is heard."""

    mind: Mind
    pipeline: CallPipeline
    phone_input: PhoneInput
    gate: TurnGate
    phone_output: PhoneOutput
    pause_stt: Callable[[], None]
    resume_stt: Callable[[], None]
    settle_stt: Callable[[], None]  # tell what was used of it, before the bill is written

    def named(self) -> dict[str, Any]:
        """Each of it by its name."""
        return {each.name: getattr(self, each.name) for each in fields(Works)}

    def put(self, other: Works) -> None:
        """Have everything of `other`."""
        for name, value in other.named().items():
            setattr(self, name, value)

    def let_go(self) -> None:
        """Tell the conversation nothing any more."""
        self.gate.let_go()
        self.phone_output.let_go()


@dataclass(frozen=True, slots=True)
class WorksBuilder:
    """Builds the works of one call, for whichever agent speaks in it."""

    call: Call
    heard: Heard
    answers: Answers
    replies: Replies
    failovers: Failovers
    clock: Clock
    now: WallClock
    audience: Audience | None = None
    line: Line = PHONE

    def build(self, agent: Agent) -> Works:
        """New services and their pipeline, not started."""
        replies, audience = self.replies, self.audience
        plans = [plan for planned in agent.plans.values() for plan in planned]
        self.failovers.own |= {(plan.kind, plan.name) for plan in plans if plan.own_key}
        line, says = agent.line(self.line), self.line.says
        made = services(
            agent,
            self.failovers,
            replies.context,
            now=self.now,
            caller=self.call.offer.phone_person or None,
            clock=self.clock,
            after_reply=self.answers.after_reply,
            line=line,
        )
        made.use(replies)
        phone_input = PhoneInput(made.ears, self.line.hears, line.hears.rate_hz)
        if audience is None:
            gate, phone_output = TurnGate(self.heard, replies.context), PhoneOutput(replies, says)
        else:
            gate = OverheardGate(self.heard, replies.context, replies, audience)
            phone_output = PhoneOutput(Overheard(replies, audience), says)
        pipeline = CallPipeline(
            Pipeline([phone_input, made.ears, gate, *made.mouth, phone_output]),
            on_started=phone_input.go_live,
            on_error=self._failed,
            line=line,
        )
        return Works(
            mind=made.mind,
            pipeline=pipeline,
            phone_input=phone_input,
            gate=gate,
            phone_output=phone_output,
            pause_stt=getattr(made.ears, "pause", _nothing),
            resume_stt=getattr(made.ears, "resume", _nothing),
            settle_stt=getattr(made.ears, "settle", _nothing),
        )

    def _failed(self, frame: ErrorFrame) -> None:
        kind = type(frame.exception).__name__ if frame.exception else None
        by = getattr(frame.processor, "name", None)
        log.warning("provider error", call_id=self.call.id, by=by, error=kind, text=frame.error)
        self.answers.provider_failed()


def _nothing() -> None:
    """What a recogniser without the like of it does."""
