"""One live call, from its media stream to its end: ear, turns, brain, voice, and the state table.

Everything happens on the event loop. What the caller does comes in through `MediaSink` (socket) and
`SpeechListener` (detector); `TurnTaking` decides; what has to go through the Pipecat pipeline is
done in order by one task, the call's only own one, which is also the boundary for its faults.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any

import structlog

from telebot.call.model import Note, State, Turn, WireEvent
from telebot.call.session import Move, Patience, WrongMove
from telebot.dialog.actions import Action, Record
from telebot.speech.brain import DIGITS_PREFIX
from telebot.speech.closing import Closing
from telebot.speech.keypad import Keypad
from telebot.speech.mailbox import Mailbox, Message
from telebot.speech.parting import Parting
from telebot.speech.parts import Outside, Parts
from telebot.speech.reply import Reply
from telebot.speech.timers import Timers

AFTER_ERROR_S = 1.5  # what a reply has left to begin once its provider reported an error
PIPELINE_START_S = 8.0  # a vendor that cannot be connected to by then is given up
AGAIN_S = 0.2  # a filler that would be said over the caller is thought of again after this
log = structlog.get_logger()

Effect = Callable[[], Awaitable[None]]


class Conversation:
    """The life of one call after its media stream is up. `ended` is always the last call."""

    parts: Parts
    closing: Closing
    audio: Callable[[bytes, int], Coroutine[Any, Any, None]]  # the ear's own: no hop in between
    _keypad: Keypad
    _mailbox: Mailbox

    def __init__(self, outside: Outside) -> None:
        self._outside = outside
        self._timers = Timers(outside.later)
        self._effects: asyncio.Queue[Effect] = asyncio.Queue()
        self._runner: asyncio.Task[None] | None = None
        self._asking: set[asyncio.Task[None]] = set()
        self._answering: Reply | None = None  # the reply to the last turn, until it is over
        self._over = False
        self._turn_start_ms = self._speech_start_ms = self._speech_end_ms = 0.0

    def begin(self, parts: Parts) -> None:
        """The stream is up: greet, then build on the rest."""
        self.parts = parts
        self.audio = parts.ear.audio
        outside, agent = self._outside, parts.agent
        self._mailbox = Mailbox(
            self._timers,
            agent.max_message_s if parts.ear.recorded else 0.0,
            say=self.say,
            keep=self._keep_message,
            goodbye=self.goodbye,
            now_s=lambda: parts.ear.stream.ms_at(outside.clock()) / 1000,
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
        self._runner = asyncio.create_task(self._run(), name="conversation effects")
        parts.pipeline.start()
        parts.pipeline.when_over(self._pipeline_over)
        if parts.budget is not None:
            parts.budget.begin(self)

    # MediaSink: what comes from the carrier

    async def digit(self, digit: str) -> None:
        self.note_event("dtmf", digits=digit)
        self._timers.cancel("silence")
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
        own = [task for task in (self._runner, *self._asking) if task is not None]
        for task in own:
            task.cancel()
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
        self._mailbox.speech_started(parts.ear.stream_ms(at_sample) / 1000)
        if self.closing.firm:
            if self._mailbox.taking:  # a recogniser that still works may write it down
                self.do(lambda: parts.phone_input.speech_started(parts.speech.vad_start_s))
            return
        self._timers.cancel("silence")
        self._speech_start_ms = parts.ear.stream_ms(at_sample)
        if not parts.turns.open:
            self._turn_start_ms = self._speech_start_ms
        parts.turns.speech_started()
        self.suspicion_cleared()
        self.do(lambda: parts.phone_input.speech_started(parts.speech.vad_start_s))

    def speech_paused(self) -> None:
        self.parts.pause_stt()

    def speech_resumed(self) -> None:
        self.parts.resume_stt()

    def speech_stopped(self, at_sample: int) -> None:
        parts = self.parts
        self._speech_end_ms = parts.ear.stream_ms(at_sample)
        start_s, end_s = self._speech_start_ms / 1000, self._speech_end_ms / 1000
        self.note_event("speech", start_s=round(start_s, 3), end_s=round(end_s, 3))
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
        self._timers.cancel("silence")
        self.move(Move.CALLER_SPEAKS)

    def silence_voice(self) -> None:
        self.note_event("clear")
        self.parts.replies.silence()
        self._beside(self.parts.replies.place_exactly(), "word times")

    def resume_voice(self) -> None:
        self.note_event("resume")
        self.parts.replies.resume()

    def drop_reply(self) -> str:
        """The caller takes the floor. A turn of which nothing was heard yet is taken back."""
        fillers = self.parts.fillers
        filled = fillers is not None and fillers.said
        dropped = self._cut(taken_back=True)
        if dropped is None or dropped.counted:
            return ""
        if fillers is not None:
            fillers.said = filled  # the turn goes on
        self.parts.mind.discard()
        self.parts.gate.take_back()
        return dropped.caller_text or ""

    def _cut(self, *, taken_back: bool) -> Reply | None:
        """Stop what is said or thought. Returns the reply to the last turn, if it was that."""
        self._timers.cancel("reply", "filler")
        replies, answering = self.parts.replies, self._answering
        replies.drop(through_pipeline=answering is not None, taken_back=taken_back)
        self.closing.take_back()
        self._answering = None
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

        self._beside(ask(), "turn model question")

    def _beside(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Have `work` done beside the call's own task; it ends with the call at the latest."""
        task = asyncio.create_task(work, name=name)
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    def take_turn(self, text: str) -> None:
        """The caller's turn is over: have it answered."""
        parts = self.parts
        parts.ear.turn_over()
        self._timers.cancel("silence")
        self.move(Move.TURN_TAKEN)
        parts.gate.add_turn(text)
        reply = parts.replies.want(text.replace(DIGITS_PREFIX, ""), parts.providers)
        if parts.turns.voiced and not text.startswith(DIGITS_PREFIX):
            reply.speech_end_at = parts.turns.ended_at
            reply.speech_end_ms = self._speech_end_ms
            reply.text_at = parts.turns.text_at
            reply.caller_offset_s = round(self._turn_start_ms / 1000, 3)
        self._answering = reply
        self._timers.after("reply", parts.speech.reply_timeout_s, self._reply_is_late)
        if parts.fillers is not None:
            self._timers.after("filler", parts.fillers.after_s, self._fill)
        self.do(parts.gate.run_turn)

    def _fill(self) -> None:
        """The reply has no audio yet: say so, unless the caller speaks."""
        parts, reply = self.parts, self.parts.replies.current
        if parts.fillers is None or reply is None or reply is not self._answering or reply.audible:
            return
        if parts.turns.speaking or parts.turns.contested or parts.voice.held:
            self._timers.after("filler", AGAIN_S, self._fill)
        elif phrase := parts.fillers.next():
            self.note_event("filler")
            parts.replies.fill(phrase)

    def nothing_said(self) -> None:
        self.listen()

    # Listener: how a reply fares

    def reply_begins(self, reply: Reply) -> None:
        self._timers.cancel("reply", "filler")
        self.move(Move.BOT_SPEAKS)

    def reply_counts(self, reply: Reply) -> None:
        if reply is not self._answering:
            return
        actions = list(self.parts.mind.commit())
        for action in actions:
            if isinstance(action, Record):
                at = self._outside.wall_clock()
                note = Note(action.kind, dict(action.fields), at, action.replaces)
                self._outside.log.note(self.parts.call, note)
        self.closing.after_reply([a for a in actions if not isinstance(a, Record)])

    def _keep_message(self, message: Message) -> None:
        fields: dict[str, Any] = {
            "caller": self.parts.call.offer.phone_person,
            "start_s": round(message.start_s, 2),
            "end_s": round(message.end_s, 2),
        }
        if message.text:
            fields["text"] = message.text
        note = Note("message", fields, self._outside.wall_clock())
        self._outside.log.note(self.parts.call, note)

    def after_reply(self, actions: list[Action]) -> None:
        """What follows from the reply being heard, known late."""
        self.closing.after_reply(actions)

    def reply_is_over(self, reply: Reply, turn: Turn | None) -> None:
        if reply is self._answering:
            self._answering = None
            self._timers.cancel("reply", "filler")
            if self.parts.fillers is not None:
                self.parts.fillers.said = False
        if turn is not None:
            self._outside.log.turn(self.parts.call, turn)
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
        self.parts.turns.reset()
        if self.occupied:
            self._cut(taken_back=False)
        self.parts.replies.play(phrase)
        return True

    def goodbye(self, reason: str) -> None:
        """Say why the call ends, then hang up. `reason` is a termination reason."""
        if not self._over:
            self.closing.goodbye(reason)

    def budget_spent(self) -> None:
        """The call may cost no more: say so behind the sentence, then hang up."""
        if not self._over:
            goodbye = partial(self.goodbye, "budget")
            Parting(self.parts, self.closing, self._timers, goodbye).begin()

    def listen(self) -> None:
        """Nobody speaks: the caller's patience timer runs."""
        if self.parts.session.waits_for_caller:
            self._timers.after("silence", self.parts.agent.silence_s, self._caller_is_silent)

    def _caller_is_silent(self) -> None:
        session = self.parts.session
        if not session.waits_for_caller or self.parts.turns.speaking or self.occupied:
            return
        if self._outside.held():
            self.listen()
        elif session.silence() is Patience.GOODBYE:
            self.goodbye("silence")
        elif not self.say(f"reprompt_{min(session.asked, 2)}"):
            self.listen()

    def _reply_is_late(self) -> None:
        """The brain or the voice does not answer: an honest sentence instead of silence."""
        log.warning("reply timed out", call_id=self.parts.call.id)
        self.note_event("reply_timeout")
        self.goodbye("server_error")

    def provider_failed(self) -> None:
        """A provider reported an error: a reply that has not begun may never begin."""
        reply = self.parts.replies.current
        if reply is not None and reply is self._answering and reply.start is None:
            self._timers.after("reply", AFTER_ERROR_S, self._reply_is_late)

    def provider_exhausted(self, kind: str) -> None:
        """Nobody is left who could hear, think or speak: an honest sentence, and a person, or a
        message."""
        del kind
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
        self._effects.put_nowait(effect)

    async def _run(self) -> None:
        """The call's own task: what must happen in order, and the boundary for its faults."""
        try:
            async with asyncio.timeout(PIPELINE_START_S):
                await self.parts.pipeline.started()  # before that nothing may be pushed into it
        except TimeoutError:
            log.error("pipeline did not start", call_id=self.parts.call.id)
            self.goodbye("server_error")
        while True:
            effect = await self._effects.get()
            try:
                await effect()
            except Exception:
                log.exception("call failed", call_id=self.parts.call.id)
                self.closing.fail()

    def _pipeline_over(self) -> None:
        if not self._over:
            log.error("pipeline ended", call_id=self.parts.call.id)
            self.goodbye("server_error")

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
            if after is not State.ENDED:
                parts.call.state = after
                self._outside.log.state(parts.call)
            self.note_event("state", state=after.value)

    def note_event(self, name: str, **fields: Any) -> None:
        """Write something that happened into the call's record."""
        offset_s = round(self.parts.ear.stream.ms_at(self._outside.clock()) / 1000, 3)
        event = WireEvent(self._outside.wall_clock(), offset_s, name, fields)
        self._outside.log.event(self.parts.call, event)
