"""A whole call on a virtual clock: the real conversation and pipeline between scripted services, a
carrier's buffer, and a caller who speaks recorded speech."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from fake_carrier import Carrier, Tape
from pipecat.frames.frames import Frame, TranscriptionFrame, TTSAudioRawFrame
from pipecat.utils.time import time_now_iso8601

from telebot.agent_settings import AgentSettings
from telebot.audio import g711
from telebot.audio.line import PHONE, Line
from telebot.call.admission import Admission
from telebot.call.model import Call, CallOffer, Note, Termination, Turn, WireEvent
from telebot.call.tokens import StreamTokens
from telebot.dialog.actions import Action, Transfer
from telebot.providers.frames import EmptyTranscriptFrame, Word, WordTimesFrame
from telebot.providers.scripted import ScriptedLLMService, ScriptedSTTService, ScriptedTTSService
from telebot.records.cost import Price, built_in
from telebot.settings import Settings
from telebot.speech.assembly import Follows
from telebot.speech.conversation import Conversation
from telebot.speech.factory import Speech
from telebot.speech.filler import filler_texts
from telebot.speech.phrases import Phrase
from telebot.speech.transfers import Ways

FRAME = 160
WORD_S = 0.3
NO_WAYS = Ways(None, None, lambda _: True, 30.0)
NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def voiced(text: str) -> bytes:
    """8 kHz int16, a voiced signal of four syllables a second: every word of `text` takes
    `WORD_S`."""
    t = np.arange(round(WORD_S * len(text.split()) * g711.RATE_HZ)) / g711.RATE_HZ
    pitch_hz = 120 + 20 * np.sin(2 * np.pi * 0.7 * t)
    phase = 2 * np.pi * np.cumsum(pitch_hz) / g711.RATE_HZ
    voice = np.add.reduce([np.sin(h * phase) / h for h in range(1, 20)])
    envelope = 0.55 + 0.45 * np.sin(2 * np.pi * 4 * t - np.pi / 2)
    return bytes((voice * envelope * 5000).clip(-32768, 32767).astype("<i2").tobytes())


def phrase(text: str) -> Phrase:
    words = [(WORD_S * n, WORD_S * (n + 1), word) for n, word in enumerate(text.split())]
    return Phrase(text, g711.encode(voiced(text)), words)


class Recogniser(ScriptedSTTService):
    """Answers each end of speech with the next line; an empty one is a sound without words."""

    def __init__(self, lines: list[str], delay_s: float) -> None:
        super().__init__(delay_s)
        self._lines = lines

    async def _answer(self) -> None:
        line = self._lines.pop(0) if self._lines else ""
        await asyncio.sleep(self._delay_s)
        if line:
            await self.push_frame(TranscriptionFrame(line, "", time_now_iso8601(), finalized=True))
        else:
            await self.push_frame(EmptyTranscriptFrame(0.3))


class Thinker(ScriptedLLMService):
    """Says its answers in order, the last one again, each after `delay_s`."""

    def __init__(self, answers: list[str], delay_s: float) -> None:
        super().__init__()
        self._answers = answers
        self._delay_s = delay_s

    async def _reply(self) -> None:
        await asyncio.sleep(self._delay_s)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if answer == "STUCK":
            raise RuntimeError("this brain cannot think that")
        self._tokens = tuple(f"{word} " for word in answer.split())
        await super()._reply()


class Voice(ScriptedTTSService):
    """A voice that tells the times of its words; each sentence takes `delay_s` to make."""

    def __init__(self, delay_s: float) -> None:
        super().__init__(())
        self._delay_s = delay_s

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        await asyncio.sleep(self._delay_s)
        if text.startswith("FAULT"):
            raise RuntimeError("this voice cannot say that")
        pcm16 = voiced(text)
        words = tuple(
            Word(WORD_S * n, WORD_S * (n + 1), word) for n, word in enumerate(text.split())
        )
        yield WordTimesFrame(context_id, words, len(pcm16) / 16000)
        yield TTSAudioRawFrame(pcm16, g711.RATE_HZ, 1, context_id=context_id)


@dataclass
class Mind:
    """A brain that notes what is made of its turns."""

    actions: list[list[Action]] = field(default_factory=list)
    committed: int = 0
    discarded: int = 0
    expects: str | None = None

    def understands(self, text: str) -> bool:
        return True

    def commit(self) -> Sequence[Action]:
        self.committed += 1
        return self.actions.pop(0) if self.actions else ()

    def discard(self) -> None:
        self.discarded += 1
        if self.actions:
            self.actions.pop(0)


@dataclass
class TestAgent:
    """What a call needs of an agent, with the services above."""

    __test__ = False

    answers: list[str]
    hears: list[str] = field(default_factory=list)
    stt_delay_s: float = 0.05
    llm_delay_s: float = 0.05
    tts_delay_s: float = 0.05
    call: dict[str, Any] = field(default_factory=dict)
    speech: dict[str, Any] = field(default_factory=dict)
    fillers: Sequence[str] = ()
    mind: Mind = field(default_factory=Mind)
    broken: bool = False
    needs_vendor = False
    person: Transfer | None = None
    plans = {"realtime": ()}  # noqa: RUF012
    providers = {"stt": "scripted", "llm": "scripted", "tts": "scripted"}  # noqa: RUF012

    def __post_init__(self) -> None:
        self.settings = AgentSettings.model_validate(
            {
                "agent": {"name": "test"},
                "call": self.call,
                "speech": self.speech,
                "path": Path("test.yaml"),
            }
        )
        self.phrases = {
            name: phrase(text)
            for name, text in {
                "greeting": "Hello there.",
                "reprompt_1": "Are you there?",
                "reprompt_2": "Still there?",
                "silence_goodbye": "I hang up now.",
                "max_duration": "Our time is over now, goodbye.",
                "budget": "I must end here, goodbye.",
                "apology": "I am sorry.",
                "leave_message": "Please leave a message.",
                "message_thanks": "Thank you.",
                "transfer_failed": "Nobody is there.",
                "closing": "Goodbye.",
                **filler_texts(self.settings, self.fillers),
            }.items()
        }

    def summary(self, values: Mapping[str, str]) -> str:
        return f"Notes: {values['notes']} Said: {values['last_words']}"

    def line(self, of: Line) -> Line:
        return of

    def stt(self, _listener: object, _line: Line = PHONE) -> Recogniser:
        return Recogniser(self.hears, self.stt_delay_s)

    def tts(self, _listener: object, _line: Line = PHONE) -> Voice:
        if self.broken:
            raise RuntimeError("no voice")
        return Voice(self.tts_delay_s)

    def thinker(self, _now: object, _caller: str | None, _listener: object) -> tuple[Thinker, Mind]:
        return Thinker(self.answers, self.llm_delay_s), self.mind


@dataclass
class Log:
    """The record of calls."""

    turns: list[Turn] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    events: list[WireEvent] = field(default_factory=list)
    endings: list[Termination] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    def opened(self, call: Call) -> None: ...
    def dialled(self, call: Call) -> None: ...
    def answered(self, call: Call) -> None: ...
    def state(self, call: Call) -> None: ...
    def used(self, call: Call, usage: Any) -> None: ...

    def turn(self, call: Call, turn: Turn) -> None:
        assert turn.index == self.counts.get(call.id, 0), "numbered in their order"
        self.counts[call.id] = turn.index + 1
        self.turns.append(turn)

    def note(self, call: Call, note: Note) -> None:
        self.notes.append(note)

    def event(self, call: Call, event: WireEvent) -> None:
        self.events.append(event)

    def closed(self, call: Call, termination: Termination) -> None:
        self.endings.append(termination)

    @property
    def states(self) -> list[str]:
        return [event.fields["state"] for event in self.events if event.name == "state"]


class Tapes:
    def __init__(self) -> None:
        self.tapes: list[Tape] = []

    def start(self, call: Call, line: Line) -> Tape:
        self.tapes.append(Tape())
        return self.tapes[-1]


@dataclass
class Telephone:
    """The caller's end of one call."""

    carrier: Carrier
    conversation: Conversation
    log: Log
    tape: Tape
    speech: Speech
    said: bytearray = field(default_factory=bytearray)
    frames: int = 0
    hung_up: bool = False
    _line: asyncio.Task[None] | None = None

    async def lift(self) -> None:
        self._line = asyncio.create_task(self._send(), name="telephone")

    async def _send(self) -> None:
        loop, began = asyncio.get_running_loop(), self.carrier.began
        silence = self.carrier.line.hears.silence(FRAME)
        while not (self.hung_up or self.carrier.closed):
            await asyncio.sleep(max(0.0, began + (self.frames + 1) * 0.02 - loop.time()))
            size = len(silence)
            frame = bytes(self.said[:size]).ljust(size, silence[:1])
            del self.said[:size]
            await self.conversation.audio(frame, self.frames * 20)
            self.frames += 1

    async def say(self, audio: bytes) -> tuple[float, float]:
        """Speak now, until it is said. When it began and ended, in stream seconds."""
        self.said += audio
        began = self.now
        while self.said and not (self.hung_up or self.carrier.closed):  # noqa: ASYNC110  (virtual time)
            await asyncio.sleep(0.02)
        return began, began + self.carrier.line.hears.ticks(audio) / g711.RATE_HZ

    @property
    def now(self) -> float:
        """Seconds of the stream."""
        return asyncio.get_running_loop().time() - self.carrier.began

    def bot_from(self, stream_s: float) -> float:
        """When the bot is heard first after `stream_s`."""
        starts = [at - self.carrier.began for at, _ in self.carrier.played]
        return min(start for start in starts if start >= stream_s)

    async def until(self, true: Callable[[], bool], within_s: float = 30.0) -> None:
        async with asyncio.timeout(within_s):
            while not true():  # noqa: ASYNC110  (virtual time)
                await asyncio.sleep(0.02)

    async def quiet(self) -> None:
        """Until the bot has said all it has to say."""
        parts = self.conversation.parts
        await asyncio.sleep(0.1)
        await self.until(lambda: not parts.voice.talking and parts.replies.current is None)
        await asyncio.sleep(0.1)

    async def hang_up(self, reason: str = "caller_hangup") -> None:
        self.hung_up = True
        if self._line is not None:
            await self._line
        await self.conversation.ended(reason)

    @property
    def messages(self) -> list[tuple[str, str]]:
        messages = self.conversation.parts.gate._context.get_messages()
        return [(m["role"], m["content"]) for m in messages]  # type: ignore[typeddict-item]


@dataclass
class Exchange:
    """A server's worth of speech, and calls to it."""

    speech: Speech
    admission: Admission
    log: Log
    tapes: Tapes
    calls: int = 0
    phones: list[Telephone] = field(default_factory=list)

    async def dial(
        self, line: Line = PHONE, *, marks: bool = True, latency_s: float = 0.02,
        follows: Follows | None = None,
    ) -> Telephone:  # fmt: skip
        """`follows`: of a client whose microphone is off until the phone is lifted."""
        loop = asyncio.get_running_loop()
        self.calls += 1
        offer = CallOffer("local", f"call-{self.calls}", "+15550001", "+15550002")
        call, token = self.admission.admit(offer)
        call = self.admission.connect(token, "local", offer.carrier_call_id)
        carrier = Carrier(marks=marks, latency_s=latency_s, line=line)
        conversation = await self.speech.start(call, carrier, follows)
        playing: set[asyncio.Task[None]] = set()

        def acknowledged(name: str) -> None:
            task = loop.create_task(conversation.played(name))
            playing.add(task)
            task.add_done_callback(playing.discard)

        carrier.acknowledged = acknowledged
        phone = Telephone(carrier, conversation, self.log, self.tapes.tapes[-1], self.speech)
        if follows is None:
            await phone.lift()
        self.phones.append(phone)
        return phone


@asynccontextmanager
async def exchange(
    agent: TestAgent,
    *,
    price: Price = built_in,
    ways: Ways = NO_WAYS,
    **settings: dict[str, Any],
) -> AsyncIterator[Exchange]:
    """Calls to `agent`; at the end nothing of them may be left."""
    loop = asyncio.get_running_loop()
    before = asyncio.all_tasks()
    began = loop.time()

    def wall_clock() -> datetime:
        return NOON + timedelta(seconds=loop.time() - began)

    log, tapes = Log(), Tapes()
    admission = Admission(
        log=log,
        tokens=StreamTokens("k" * 40, 300, wall_clock),
        numbers={"*": "test"},
        agents=frozenset({"test"}),
        max_calls=50,
        clock=loop.time,
        wall_clock=wall_clock,
        new_id=iter(f"id{n}" for n in range(1000)).__next__,
    )
    tree = {"speech": {"endpointing": "vad"}, **settings}
    speech = Speech(
        Settings.model_validate(tree),
        {"test": agent},  # type: ignore[dict-item]
        admission=admission,
        call_log=log,
        recorder=tapes,
        clock=loop.time,
        wall_clock=wall_clock,
        ways=lambda _: ways,
        price=price,
    )
    await speech.open()
    line = Exchange(speech, admission, log, tapes)
    try:
        yield line
    finally:
        for phone in line.phones:
            await phone.hang_up()
        await speech.close()
    await asyncio.sleep(1)
    left = [task for task in asyncio.all_tasks() - before if not task.done()]
    assert not left, left
    assert not any(vad.in_use for vad in speech.vads.values()), "a detector is left"
    assert not speech.live
    assert not admission.live
    assert all(tape.closed for tape in tapes.tapes), "a recording is left open"
