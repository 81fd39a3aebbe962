"""One live call, from its media stream to its end: ear, turns, brain, voice, and the state table.

Everything happens on the event loop. What the caller does comes in through `MediaSink` (socket) and
`SpeechListener` (detector); `TurnTaking` decides; what has to go through the Pipecat pipeline is
done in order by the call's one task (`effects.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import structlog

from telebot.call.model import Turn
from telebot.call.session import Move, WrongMove
from telebot.dialog.actions import Action, Record
from telebot.speech.brain import DIGITS_PREFIX
from telebot.speech.closing import Closing
from telebot.speech.diary import Diary
from telebot.speech.effects import Effect, Effects
from telebot.speech.keypad import Keypad
from telebot.speech.mailbox import Mailbox
from telebot.speech.moments import Moments
from telebot.speech.parting import Parting
from telebot.speech.parts import Outside, Parts
from telebot.speech.reply import Reply
from telebot.speech.silence import Silence
from telebot.speech.timers import Timers
from telebot.speech.waiting import Waiting

log = structlog.get_logger()


class Conversation:
    """The life of one call after its media stream is up. `ended` is always the last call."""

    parts: Parts
    closing: Closing
    audio: Callable[[bytes, int], Coroutine[Any, Any, None]]  # the ear's own: no hop in between
    _keypad: Keypad
    _mailbox: Mailbox
    _waiting: Waiting
    _silence: Silence
    _diary: Diary

    def __init__(self, outside: Outside) -> None:
        self._outside = outside
        self._timers = Timers(outside.later)
        self._effects = Effects()
        self._over = False
        self._moments = Moments()

    def begin(self, parts: Parts) -> None:
        """The stream is up: greet, then build on the rest."""
        self.parts = parts
        self.audio = parts.ear.audio
        outside, agent = self._outside, parts.agent
        self._diary = Diary(outside, parts)
        self._waiting = Waiting(
            parts, self._timers, note_event=self.note_event, goodbye=self.goodbye
        )
        self._silence = Silence(
            parts,
            self._timers,
            held=outside.held,
            ending=lambda: self.closing.ending,
            say=self.say,
            goodbye=self.goodbye,
        )
        self._mailbox = Mailbox(
            self._timers,
            agent.max_message_s if parts.ear.recorded else 0.0,
            say=self.say,
            keep=self._diary.message,
            goodbye=self.goodbye,
            now_s=lambda: self._diary.now_s,
        )
        self.closing = Closing(
            self,
            parts.transfers,
            self._mailbox,
            confirmed=parts.voice.confirmed,
            hang_up=outside.hang_up,
        )
        self._keypad = Keypad(agent.digits_wait_s, outside.later, self._keyed)
        self.note_event("start", agent=parts.call.agent)
        self.move(Move.MEDIA)
        if not self.say("greeting"):
            self.move(Move.BOT_DONE)
        self._timers.after("max", agent.max_duration_s, lambda: self.goodbye("max_duration"))
        self._effects.start(
            parts.pipeline.started,
            call_id=parts.call.id,
            late=partial(self.goodbye, "server_error"),
            failed=self.closing.fail,
        )
        parts.pipeline.start()
        self.watch_pipeline()
        if parts.budget is not None:
            parts.budget.begin(self)

    # MediaSink: what comes from the carrier

    async def digit(self, digit: str) -> None:
        self.note_event("dtmf", digits=digit)
        self._silence.broken()
        if self._mailbox.taking and digit == "#":
            self._mailbox.finish()
        self._keypad.key(digit)

    async def played(self, mark: str) -> None:
        self.parts.voice.acknowledged(mark)

    async def ended(self, reason: str) -> None:
        """The stream is over. Idempotent; returns when nothing of the call's work is left."""
        if self._over:
            return
        self._over = True
        parts = self.parts
        self._mailbox.close()
        self._timers.close()
        if parts.budget is not None:
            parts.budget.close()
        self._keypad.close()
        await self.closing.settled()
        reason = self.closing.reason or reason
        parts.turns.reset()
        if parts.replies.current is not None:
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

    # SpeechListener: what the detector says

    def speech_suspected(self) -> None:
        parts = self.parts
        if parts.voice.talking and not parts.turns.contested and not self.closing.firm:
            parts.voice.hold()

    def suspicion_cleared(self) -> None:
        if self.parts.voice.held and not self.parts.turns.contested:
            self.parts.voice.release()

    def speech_started(self, at_sample: int) -> None:
        parts = self.parts
        self._mailbox.speech_started(self._moments.started(parts.ear.stream_ms(at_sample)))
        if self.closing.firm:
            if self._mailbox.taking:  # a recogniser that still works may write it down
                self.do(lambda: parts.phone_input.speech_started(parts.speech.vad_start_s))
            return
        self._silence.broken()
        if not parts.turns.open:
            self._moments.turn_start_ms = self._moments.speech_start_ms
        parts.turns.speech_started()
        self.suspicion_cleared()
        self.do(lambda: parts.phone_input.speech_started(parts.speech.vad_start_s))

    def speech_paused(self) -> None:
        self.parts.pause_stt()

    def speech_resumed(self) -> None:
        self.parts.resume_stt()

    def speech_stopped(self, at_sample: int) -> None:
        parts = self.parts
        start_s, end_s = self._moments.stopped(parts.ear.stream_ms(at_sample))
        self.note_event("speech", start_s=start_s, end_s=end_s)
        self._mailbox.speech_stopped(end_s)
        if self.closing.firm:
            parts.turns.speaking = False  # it may have begun before
        else:
            parts.turns.speech_stopped(parts.ear.since(at_sample))
        if not self.closing.firm or self._mailbox.taking:
            self.do(lambda: parts.phone_input.speech_stopped(parts.speech.vad_stop_s))

    # Heard: what the recogniser says

    def caller_text(self, text: str, finalized: bool) -> None:
        self._mailbox.heard(text)
        if not self.closing.firm:
            self.parts.turns.text(text, finalized=finalized)

    def caller_turn(self, text: str) -> None:
        if not self.closing.firm:
            self.parts.turns.take_now(text)

    def caller_interim(self, text: str) -> None:
        if not self.closing.firm:
            self.parts.turns.interim(text)

    def caller_no_text(self) -> None:
        if not self.closing.firm:
            self.parts.turns.no_text()

    def written(self, text: str) -> None:
        """A turn of the caller's that is no speech."""
        self._moments.written_at = self._outside.clock()
        self.parts.turns.take_now(text)

    # Floor: what turn taking decides

    @property
    def occupied(self) -> bool:
        return self.parts.replies.current is not None

    @property
    def asked(self) -> bool:
        return self.parts.replies.asked

    @property
    def expects(self) -> str | None:
        return self.parts.mind.expects

    def understands(self, text: str) -> bool:
        return self.parts.mind.understands(text)

    def caller_speaks(self) -> None:
        self._silence.broken()
        self.move(Move.CALLER_SPEAKS)

    def silence_voice(self) -> None:
        self.note_event("clear")
        self.parts.replies.silence()
        self._effects.beside(self.parts.replies.place_exactly(), "word times")

    def resume_voice(self) -> None:
        self.note_event("resume")
        self.parts.replies.resume()

    def drop_reply(self) -> str:
        """The caller takes the floor. A turn of which nothing was heard yet is taken back."""
        filled = self._waiting.filled
        dropped = self._cut(taken_back=True)
        if dropped is None or dropped.counted:
            return ""
        self._waiting.filled = filled  # the turn goes on
        self.parts.mind.discard()
        self.parts.gate.take_back()
        return dropped.caller_text or ""

    def _cut(self, *, taken_back: bool) -> Reply | None:
        """Stop what is said or thought. Returns the reply to the last turn, if it was that."""
        self._waiting.stop()
        replies, answering = self.parts.replies, self._waiting.reply
        replies.drop(through_pipeline=answering is not None, taken_back=taken_back)
        self.closing.take_back()
        self._waiting.reply = None
        self.note_event("interrupt")
        if answering is not None:
            self.do(self.parts.gate.interrupt)
        return answering

    def ask_turn_model(self, pause: int) -> None:
        model, turns = self.parts.turn_model, self.parts.turns
        if model is None:
            return
        audio, timeout_s = self.parts.ear.turn_audio(), self.parts.speech.turn_timeout_s

        async def ask() -> None:
            probability = await model.probability(audio, timeout_s)
            turns.probability(1.0 if probability is None else probability, pause)

        self._effects.beside(ask(), "turn model question")

    def take_turn(self, text: str) -> None:
        """The caller's turn is over: have it answered."""
        parts = self.parts
        parts.ear.turn_over()
        self._silence.broken()
        self.move(Move.TURN_TAKEN)
        parts.gate.add_turn(text)
        reply = parts.replies.want(text.replace(DIGITS_PREFIX, ""), parts.providers)
        self._moments.give(reply, text, parts.turns, parts.ear.stream)
        self._waiting.begin(reply)
        self.do(parts.gate.run_turn)

    def nothing_said(self) -> None:
        self.listen()

    # Listener: how a reply fares

    def reply_begins(self, reply: Reply) -> None:
        self._waiting.stop()
        self.move(Move.BOT_SPEAKS)

    def reply_counts(self, reply: Reply) -> None:
        if reply is not self._waiting.reply:
            return
        actions = list(self.parts.mind.commit())
        for action in (each for each in actions if isinstance(each, Record)):
            self._diary.note(action)
        self.closing.after_reply([a for a in actions if not isinstance(a, Record)])

    def after_reply(self, actions: list[Action]) -> None:
        """What follows from the reply being heard, known late."""
        self.closing.after_reply(actions)

    def reply_is_over(self, reply: Reply, turn: Turn | None) -> None:
        self._waiting.over(reply)
        if turn is not None:
            self._diary.turn(turn)
        if self._over or reply.interrupted:
            return
        self.move(Move.BOT_DONE)
        if self._mailbox.taking:
            self._mailbox.asked()
        elif not self.closing.reply_was_heard():
            self.listen()

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
        if self.occupied:
            self._cut(taken_back=False)

    def goodbye(self, reason: str) -> None:
        """Say why the call ends, then hang up. `reason` is a termination reason."""
        if not self._over:
            self.closing.goodbye(reason)

    def budget_spent(self) -> None:
        """The call may cost no more: say so behind the sentence, then hang up."""
        if not self._over:
            bye = partial(self.goodbye, "budget")
            Parting(self.parts, self.closing, self._timers, bye).begin()

    def listen(self) -> None:
        """Nobody speaks."""
        self._silence.begin()

    def provider_failed(self) -> None:
        """A provider reported an error."""
        self._waiting.provider_failed()

    def provider_exhausted(self, _kind: str) -> None:
        """Nobody is left who could do it: an honest sentence, and a person, or a message."""
        if not self._over:
            self.closing.give_up(self.parts.person)

    def _keyed(self, digits: str) -> None:
        if digits and not self.closing.firm:
            self.parts.turns.take_now(DIGITS_PREFIX + digits)
        else:
            self.listen()

    # the machinery

    def do(self, effect: Effect) -> None:
        """Have `effect` done by the call's own task, after what was asked for before."""
        self._effects.do(effect)

    def watch_pipeline(self) -> None:
        """It must not end before the call does, unless another one has its place."""
        pipeline = self.parts.pipeline

        def over() -> None:
            if not self._over and pipeline is self.parts.pipeline:
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
