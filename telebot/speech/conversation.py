"""One live call, from its media stream to its end.

Everything happens on the event loop. What the caller does is `caller.py`'s, what the bot answers
`answering.py`'s; what has to go through the Pipecat pipeline is done in order by the call's one
task (`effects.py`). Here are its beginning and end, and what the bot says of its own accord.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import structlog

from telebot.call.session import Move, WrongMove
from telebot.speech.answering import Answering
from telebot.speech.caller import Caller
from telebot.speech.closing import Closing
from telebot.speech.course import Course
from telebot.speech.diary import Diary
from telebot.speech.effects import Effect, Effects
from telebot.speech.mailbox import Mailbox
from telebot.speech.moments import Moments
from telebot.speech.parting import Parting
from telebot.speech.parts import Outside, Parts
from telebot.speech.silence import Silence
from telebot.speech.timers import Timers

log = structlog.get_logger()


class Conversation:
    """The life of one call after its media stream is up. `ended` is always the last call."""

    parts: Parts
    closing: Closing
    audio: Callable[[bytes, int], Coroutine[Any, Any, None]]  # the ear's own: no hop in between
    _diary: Diary
    _mailbox: Mailbox
    _silence: Silence

    def __init__(self, outside: Outside) -> None:
        self._outside = outside
        self._timers = Timers(outside.later)
        self._effects = Effects()
        self.caller = Caller()
        self.answering = Answering()

    def begin(self, parts: Parts) -> None:
        """The stream is up: greet, then build on the rest."""
        self.parts = parts
        self.audio = parts.ear.audio
        course = self._course()
        self.caller.begin(course)
        self.answering.begin(course)
        self.note_event("start", agent=parts.call.agent)
        self.move(Move.MEDIA)
        if not self.say("greeting"):
            self.move(Move.BOT_DONE)
        goodbye = self.goodbye
        self._timers.after("max", parts.agent.max_duration_s, partial(goodbye, "max_duration"))
        self._effects.start(
            parts.pipeline.started,
            call_id=parts.call.id,
            late=partial(goodbye, "server_error"),
            failed=self.closing.fail,
        )
        parts.pipeline.start()
        self.watch_pipeline()
        if parts.budget is not None:
            parts.budget.begin(self)

    def _course(self) -> Course:
        parts, outside, timers = self.parts, self._outside, self._timers
        self._diary = diary = Diary(outside, parts)
        self._mailbox = mailbox = Mailbox(
            timers,
            parts.agent.max_message_s if parts.ear.recorded else 0.0,
            say=self.say,
            keep=diary.message,
            goodbye=self.goodbye,
            now_s=lambda: diary.now_s,
        )
        self.closing = closing = Closing(
            self,
            parts.transfers,
            mailbox,
            confirmed=parts.voice.confirmed,
            hang_up=outside.hang_up,
        )
        self._silence = silence = Silence(
            parts,
            timers,
            held=outside.held,
            ending=lambda: closing.ending,
            say=self.say,
            goodbye=self.goodbye,
        )
        return Course(
            outside=outside,
            parts=parts,
            timers=timers,
            effects=self._effects,
            diary=diary,
            moments=Moments(),
            mailbox=mailbox,
            silence=silence,
            closing=closing,
            move=self.move,
        )

    # MediaSink: what comes from the carrier

    async def digit(self, digit: str) -> None:
        self.caller.key(digit)

    async def played(self, mark: str) -> None:
        self.parts.voice.acknowledged(mark)

    async def ended(self, reason: str) -> None:
        """The stream is over. Idempotent; returns when nothing of the call's work is left."""
        if self.closing.over:
            return
        parts = self.parts
        self._mailbox.close()
        self._timers.close()
        if parts.budget is not None:
            parts.budget.close()
        self.caller.close()
        await self.closing.settled()
        reason = self.closing.reason or reason
        parts.turns.reset()
        if parts.replies.occupied:
            parts.replies.drop(through_pipeline=False, taken_back=False)
        self.note_event("stop", reason=reason)
        self.move(Move.END)
        parts.voice.close()
        parts.ear.close()
        parts.settle_stt()
        self._outside.end(reason)
        own = self._effects.cancel()
        await parts.pipeline.cancel()
        await asyncio.gather(*own, return_exceptions=True)
        self._outside.gone()

    # what the bot does of its own accord

    def say(self, name: str) -> bool:
        """Say a fixed phrase now, instead of whatever is being said. False if there is none."""
        phrase = self.parts.phrases.get(name)
        if phrase is None:
            log.warning("phrase missing", call_id=self.parts.call.id, phrase=name)
            return False
        self.hush()
        self.parts.replies.play(phrase)
        return True

    def hush(self) -> None:
        """Say no more of what is being said or thought about."""
        self.parts.turns.reset()
        if self.parts.replies.occupied:
            self.answering.cut(taken_back=False)

    def listen(self) -> None:
        """Nobody speaks."""
        self._silence.begin()

    def goodbye(self, reason: str) -> None:
        """Say why the call ends, then hang up. `reason` is a termination reason."""
        self.closing.goodbye(reason)

    def budget_spent(self) -> None:
        """The call may cost no more: say so behind the sentence, then hang up."""
        if not self.closing.over:
            bye = partial(self.goodbye, "budget")
            Parting(self.parts, self.closing, self._timers, bye).begin()

    def provider_exhausted(self, _kind: str) -> None:
        """Nobody is left who could do it: an honest sentence, and a person, or a message."""
        self.closing.give_up(self.parts.person)

    # the machinery

    def do(self, effect: Effect) -> None:
        """Have `effect` done by the call's own task, after what was asked for before."""
        self._effects.do(effect)

    def watch_pipeline(self) -> None:
        """It must not end before the call does, unless another one has its place."""
        pipeline = self.parts.pipeline

        def over() -> None:
            if not self.closing.over and pipeline is self.parts.pipeline:
                log.error("pipeline ended", call_id=self.parts.call.id)
                self.goodbye("server_error")

        pipeline.when_over(over)

    def move(self, move: Move) -> None:
        """Make a move in the state table; what it does not know is logged and ignored."""
        parts = self.parts
        before = parts.session.state
        try:
            after = parts.session.apply(move)
        except WrongMove as error:
            log.warning("move ignored", call_id=parts.call.id, move=str(error))
            return
        if after is not before:
            self._diary.state(after)

    def note_event(self, name: str, **fields: Any) -> None:
        """Write something that happened into the call's record."""
        self._diary.event(name, **fields)
