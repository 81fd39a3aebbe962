"""One live call, from its media stream to its end: ear, turns, brain, voice, and the state table.

Everything happens on the event loop. What the caller does comes in through `MediaSink` (socket) and
`SpeechListener` (detector); `TurnTaking` decides; what has to go through the Pipecat pipeline is
done in order by one task, the call's only own one, which is also the boundary for its faults.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from telebot.call.errors import CarrierError
from telebot.call.model import Call, Note, State, Turn, WireEvent
from telebot.call.ports import CallLog, Clock, WallClock
from telebot.call.session import Move, Patience, Session, WrongMove
from telebot.dialog.actions import Action, EndCall, Record, Transfer
from telebot.settings import AgentCall, SpeechSettings
from telebot.speech.brain import DIGITS_PREFIX, Mind
from telebot.speech.ear import Ear
from telebot.speech.keypad import Keypad
from telebot.speech.phrases import Phrase
from telebot.speech.pipeline import CallPipeline
from telebot.speech.replies import Replies
from telebot.speech.reply import Reply
from telebot.speech.transport import PhoneInput, TurnGate
from telebot.speech.turn_model import TurnModelProcess
from telebot.speech.turns import Later, Timer, TurnTaking
from telebot.speech.voice import Voice

GOODBYE_GRACE_S = 1.5  # a last mark that does not come back holds the hang-up up this long
log = structlog.get_logger()

Effect = Callable[[], Awaitable[None]]


@dataclass(slots=True)
class Parts:
    """What a conversation is made of; `factory.py` puts them together, the conversation owns
    `ear`, `voice` and `pipeline` and closes them."""

    call: Call
    ear: Ear
    voice: Voice
    replies: Replies
    turns: TurnTaking
    session: Session
    mind: Mind
    pipeline: CallPipeline
    phone_input: PhoneInput
    gate: TurnGate
    pause_stt: Callable[[], None]
    phrases: Mapping[str, Phrase]
    agent: AgentCall
    speech: SpeechSettings
    providers: Mapping[str, str | None]
    turn_model: TurnModelProcess | None


@dataclass(frozen=True, slots=True)
class Outside:
    """What a conversation asks of the rest of the house."""

    log: CallLog
    clock: Clock
    wall_clock: WallClock
    later: Later
    hang_up: Callable[[], Awaitable[None]]  # close the stream; the carrier's leg follows
    transfer: Callable[[str], Awaitable[None]] | None  # raises CarrierError
    end: Callable[[str], None]  # the call's record is closed with this reason
    gone: Callable[[Conversation], None]  # nothing of this conversation is left


class Conversation:
    """The life of one call after its media stream is up. `ended` is always the last call."""

    def __init__(self, outside: Outside) -> None:
        self._outside = outside
        self._effects: asyncio.Queue[Effect] = asyncio.Queue()
        self._runner: asyncio.Task[None] | None = None
        self._timers: dict[str, Timer] = {}
        self._asking: set[asyncio.Task[None]] = set()
        self._after: list[Action] = []  # what the reply being said asks for once it was heard
        self._closing: str | None = None  # the reason for which the bot is saying goodbye
        self._reason: str | None = None  # the reason the bot hung up for
        self._over = False
        self._answering: Reply | None = None
        self._speech_start_ms = self._speech_end_ms = 0.0
        self._turn_start_ms = 0.0
        self._keypad: Keypad
        self.parts: Parts

    def begin(self, parts: Parts) -> None:
        """The stream is up: greet, then build on the rest."""
        self.parts = parts
        self._keypad = Keypad(parts.agent.digits_wait_s, self._outside.later, self._keyed)
        self._note_event("start", agent=parts.call.agent)
        self._move(Move.MEDIA)
        if not self.say("greeting"):
            self._move(Move.BOT_DONE)
        self._after_s("max", parts.agent.max_duration_s, lambda: self.goodbye("max_duration"))
        self._runner = asyncio.create_task(self._run(), name="conversation effects")
        parts.pipeline.start()
        parts.pipeline.when_over(self._pipeline_over)

    # MediaSink: what comes from the carrier

    async def audio(self, ulaw: bytes, timestamp_ms: int) -> None:
        await self.parts.ear.audio(ulaw, timestamp_ms)

    async def digit(self, digit: str) -> None:
        self._note_event("dtmf", digits=digit)
        self._cancel("silence")
        self._keypad.key(digit)

    async def played(self, mark: str) -> None:
        self.parts.voice.acknowledged(mark)

    async def ended(self, reason: str) -> None:
        """The stream is over. Idempotent; returns when nothing of the call's work is left."""
        if self._over:
            return
        self._over = True
        parts = self.parts
        for timer in self._timers.values():
            timer.cancel()
        self._keypad.close()
        parts.turns.reset()
        if self._answering is not None or parts.replies.current is not None:
            parts.replies.drop(through_pipeline=False)
        self._move(Move.END)
        self._note_event("stop", reason=self._reason or reason)
        parts.voice.close()
        parts.ear.close()
        self._outside.end(self._reason or reason)
        own = [task for task in (self._runner, *self._asking) if task is not None]
        for task in own:
            task.cancel()
        await parts.pipeline.cancel()
        await asyncio.gather(*own, return_exceptions=True)
        self._outside.gone(self)

    # SpeechListener: what the detector says

    def speech_suspected(self) -> None:
        if self._closing in FIRM:
            return
        if self.parts.voice.talking and not self.parts.turns.contested:
            self.parts.voice.hold()

    def suspicion_cleared(self) -> None:
        if self.parts.voice.held and not self.parts.turns.contested:
            self.parts.voice.release()

    def speech_started(self, at_sample: int) -> None:
        if self._closing in FIRM:
            return
        self._cancel("silence")
        self._speech_start_ms = self.parts.ear.stream_ms(at_sample)
        if not self.parts.turns.open:
            self._turn_start_ms = self._speech_start_ms
        self.parts.turns.speech_started()
        if self.parts.voice.held and not self.parts.turns.contested:
            self.parts.voice.release()
        start_s = self.parts.speech.vad_start_s
        self._do(lambda: self.parts.phone_input.speech_started(start_s))

    def speech_paused(self) -> None:
        self.parts.pause_stt()
        self.parts.turns.speech_paused()

    def speech_resumed(self) -> None:
        self.parts.turns.speech_resumed()

    def speech_stopped(self, at_sample: int) -> None:
        self._speech_end_ms = self.parts.ear.stream_ms(at_sample)
        self._note_event(
            "speech",
            start_s=round(self._speech_start_ms / 1000, 3),
            end_s=round(self._speech_end_ms / 1000, 3),
        )
        self.parts.turns.speech_stopped(self.parts.ear.since(at_sample))
        stop_s = self.parts.speech.vad_stop_s
        self._do(lambda: self.parts.phone_input.speech_stopped(stop_s))

    # Heard: what the recogniser says

    def caller_text(self, text: str, finalized: bool) -> None:
        self.parts.turns.text(text, finalized=finalized)

    def caller_interim(self, text: str) -> None:
        self.parts.turns.interim(text)

    def caller_no_text(self) -> None:
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
        self._cancel("silence")
        self._move(Move.CALLER_SPEAKS)

    def silence_voice(self) -> None:
        self._note_event("clear")
        self.parts.replies.silence()

    def resume_voice(self) -> None:
        self._note_event("resume")
        self.parts.replies.resume()

    def drop_reply(self) -> str:
        """The caller takes the floor. A turn of which nothing was heard yet is taken back."""
        if self._closing is not None:
            self._closing = None  # the goodbye was interrupted: the caller has more to say
        answering, self._answering = self._answering, None
        self._cancel("reply")
        self._after.clear()
        dropped = self.parts.replies.drop(through_pipeline=answering is not None)
        if answering is None:
            return ""
        self._note_event("interrupt")
        self._do(self.parts.gate.interrupt)
        if dropped is None or dropped.start is not None:
            return ""
        self.parts.mind.discard()
        _take_back(self.parts.gate.context)
        return answering.caller_text or ""

    def ask_turn_model(self, pause: int) -> None:
        model = self.parts.turn_model
        if model is None:
            return
        audio = self.parts.ear.turn_audio()
        timeout_s = self.parts.speech.turn_timeout_s

        async def ask() -> None:
            probability = await model.probability(audio, timeout_s)
            self.parts.turns.probability(1.0 if probability is None else probability, pause)

        asking = asyncio.create_task(ask(), name="turn model question")
        self._asking.add(asking)
        asking.add_done_callback(self._asking.discard)

    def take_turn(self, text: str) -> None:
        """The caller's turn is over: have it answered."""
        parts = self.parts
        parts.ear.turn_over()
        self._move(Move.TURN_TAKEN)
        self._cancel("silence")
        _add_user(parts.gate.context, text)
        reply = parts.replies.want(text.removeprefix(DIGITS_PREFIX), parts.providers)
        if not text.startswith(DIGITS_PREFIX):
            reply.speech_end_at = parts.turns.ended_at
            reply.speech_end_ms = self._speech_end_ms
            reply.text_at = parts.turns.text_at
            reply.caller_offset_s = round(self._turn_start_ms / 1000, 3)
        self._answering = reply
        self._after_s("reply", parts.speech.reply_timeout_s, self._reply_is_late)
        self._do(parts.gate.run_turn)

    def nothing_said(self) -> None:
        self._listen()

    # Listener: how a reply fares

    def reply_is_heard(self, reply: Reply) -> None:
        self._cancel("reply")
        self._move(Move.BOT_SPEAKS)
        if reply is self._answering:
            actions = list(self.parts.mind.commit())
            for action in actions:
                if isinstance(action, Record):
                    note = Note(action.kind, dict(action.fields), self._outside.wall_clock())
                    self._outside.log.note(self.parts.call, note)
            self._after = [action for action in actions if not isinstance(action, Record)]

    def reply_is_over(self, reply: Reply, turn: Turn | None) -> None:
        if reply is self._answering:
            self._answering = None
            self._cancel("reply")
        if turn is not None:
            self._outside.log.turn(self.parts.call, turn)
        if self._over or reply.interrupted:
            return
        self._move(Move.BOT_DONE)
        after, self._after = self._after, []
        if self._closing is not None:
            self._hang_up_when_heard(self._closing)
        elif not after:
            self._listen()
        for action in after:
            self._act(action)

    # what the bot does of its own accord

    def say(self, name: str) -> bool:
        """Say a fixed phrase now, instead of whatever is being said. False if there is none."""
        phrase = self.parts.phrases.get(name)
        if phrase is None:
            log.warning("phrase missing", call_id=self.parts.call.id, phrase=name)
            return False
        self.parts.turns.reset()
        if self.occupied:
            self.drop_reply()
        self.parts.replies.play(phrase)
        return True

    def goodbye(self, reason: str) -> None:
        """Say why the call ends, then hang up. `reason` is a termination reason."""
        if self._over or self._closing is not None:
            return
        name = GOODBYES.get(reason, "closing")
        if self.say(name):
            self._closing = reason
        else:
            self._hang_up_when_heard(reason)

    def _listen(self) -> None:
        """Nobody speaks: the caller's patience timer runs."""
        if self.parts.session.waits_for_caller:
            self._after_s("silence", self.parts.agent.silence_s, self._caller_is_silent)

    def _caller_is_silent(self) -> None:
        session = self.parts.session
        if not session.waits_for_caller or self.parts.turns.speaking or self.occupied:
            return
        if session.silence() is Patience.GOODBYE:
            self.goodbye("silence")
        elif not self.say(f"reprompt_{min(session.asked, 2)}"):
            self._listen()

    def _reply_is_late(self) -> None:
        """The brain or the voice does not answer: an honest sentence instead of silence."""
        log.warning("reply timed out", call_id=self.parts.call.id)
        self._note_event("reply_timeout")
        self.goodbye("server_error")

    def _keyed(self, digits: str) -> None:
        self.parts.turns.take_now(DIGITS_PREFIX + digits)

    def _act(self, action: Action) -> None:
        if isinstance(action, EndCall):
            self._hang_up_when_heard("bot_hangup")
        elif isinstance(action, Transfer):
            self._do(lambda: self._transfer(action.to))

    async def _transfer(self, to: str) -> None:
        self._move(Move.TRANSFER)
        try:
            if self._outside.transfer is None:
                raise CarrierError("this carrier cannot transfer")
            await self._outside.transfer(to)
        except CarrierError as error:
            log.warning("transfer failed", call_id=self.parts.call.id, error=str(error))
            self._note_event("transfer_failed")
            self._move(Move.TRANSFER_FAILED)
            if not self.say("transfer_failed"):
                self._listen()
            return
        self._reason = "transferred"
        await self._outside.hang_up()

    def _hang_up_when_heard(self, reason: str) -> None:
        """Hang up once the carrier says that the last words were played."""

        async def wait_and_hang_up() -> None:
            await self.parts.voice.confirmed(GOODBYE_GRACE_S)
            if self._closing is None:
                return  # interrupted: the caller has more to say
            self._reason = reason
            self._note_event("hang_up", reason=reason)
            await self._outside.hang_up()

        self._closing = reason
        self._do(wait_and_hang_up)

    # the machinery

    def _do(self, effect: Effect) -> None:
        self._effects.put_nowait(effect)

    async def _run(self) -> None:
        """The call's own task: what must happen in order, and the boundary for its faults."""
        while True:
            effect = await self._effects.get()
            try:
                await effect()
            except Exception:
                log.exception("call failed", call_id=self.parts.call.id)
                self._reason = "server_error"
                await self._outside.hang_up()

    def _pipeline_over(self) -> None:
        if not self._over:
            log.error("pipeline ended", call_id=self.parts.call.id)
            self.goodbye("server_error")

    def _move(self, move: Move) -> None:
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
            self._note_event("state", state=after.value)

    def _note_event(self, name: str, **fields: Any) -> None:
        offset_s = round(self.parts.ear.stream.ms_at(self._outside.clock()) / 1000, 3)
        event = WireEvent(self._outside.wall_clock(), offset_s, name, fields)
        self._outside.log.event(self.parts.call, event)

    def _after_s(self, name: str, delay_s: float, do: Callable[[], None]) -> None:
        self._cancel(name)
        self._timers[name] = self._outside.later(delay_s, do)

    def _cancel(self, name: str) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()


FIRM = frozenset({"max_duration", "server_error", "drained"})  # goodbyes nobody talks away
GOODBYES = {
    "silence": "silence_goodbye",
    "max_duration": "max_duration",
    "server_error": "apology",
    "drained": "closing",
}


def _add_user(context: Any, text: str) -> None:
    context.add_message({"role": "user", "content": text})


def _take_back(context: Any) -> None:
    """The last user message was not answered: it will come again, with more."""
    messages = context.get_messages()
    if messages and messages[-1].get("role") == "user":
        context.set_messages(messages[:-1])
