"""The media of one call: who hears the caller, a hold, and that everybody is put away."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from telebot.sip.media import CallMedia
from telebot.sip.rtp import RtpStream
from telebot.sip.trunks import KnownTrunk

pytestmark = pytest.mark.unit

TRUNK = cast(KnownTrunk, SimpleNamespace(settings=SimpleNamespace(codecs=("PCMU",))))


@dataclass
class Stats:
    lost: int = 0


class Stream:
    """RTP, as far as this is told."""

    def __init__(self) -> None:
        self.heard: list[object] = []  # who hears the caller, one after another
        self.sent: list[bytes] = []
        self.closed = 0

    def begin(self, sink: object) -> None:
        self.heard.append(sink)

    def send_audio(self, ulaw: bytes) -> None:
        self.sent.append(ulaw)

    def send_mark(self, name: str) -> None: ...

    def send_clear(self) -> None: ...

    def stats(self) -> Stats:
        return Stats()

    async def close(self) -> None:
        self.closed += 1


@dataclass
class Bot:
    """The conversations, and the one."""

    hangs: bool = False
    frames: int = 0
    reasons: list[str] = field(default_factory=list)
    wire: Any = None

    async def start(self, call: object, wire: object) -> Bot:
        self.wire = wire
        return self

    async def audio(self, ulaw: bytes, timestamp_ms: int) -> None:
        self.frames += 1

    async def digit(self, digit: str) -> None: ...

    async def played(self, mark: str) -> None: ...

    async def ended(self, reason: str) -> None:
        self.reasons.append(reason)
        if self.hangs:
            await asyncio.Event().wait()


@dataclass
class Person:
    stream: Stream = field(default_factory=Stream)
    trunk: Any = field(default_factory=lambda: SimpleNamespace(name="acme"))
    closed: int = 0

    async def close(self) -> None:
        self.closed += 1


class Line:
    def __init__(self) -> None:
        self.stream, self.notes = Stream(), list[str]()
        self.media = CallMedia(cast(RtpStream, self.stream), TRUNK, self._note)

    def _note(self, name: str, **_: object) -> None:
        self.notes.append(name)

    async def talk(self, bot: Bot) -> Any:
        return await self.media.begin(cast(Any, bot), cast(Any, None), lambda: None)


async def test_a_hold_before_the_conversation_holds_it_too():
    line, bot = Line(), Bot()
    line.media.agreement.held = True
    line.media.watch_hold()
    line.media.watch_hold()
    ears = await line.talk(bot)
    await ears.audio(b"", 0)
    assert (line.notes, bot.frames, bot.wire.held) == (["hold"], 0, True)
    line.media.agreement.held = False
    line.media.watch_hold()
    await ears.audio(b"", 0)
    assert (line.notes, bot.frames, bot.wire.held) == (["hold", "resume"], 1, False)


async def test_a_person_hears_the_caller_instead_of_the_bot():
    line, bot, person = Line(), Bot(), Person()
    assert not line.media.begun
    await line.talk(bot)
    assert line.media.begun
    line.media.join(cast(Any, person))
    bot.wire.send_audio(b"not heard")
    assert line.stream.sent == []
    assert len(line.stream.heard) == 2
    await line.media.close("transferred")
    assert (person.closed, bot.reasons, line.stream.closed) == (1, ["transferred"], 1)
    assert line.notes == ["bridged", "rtp_stats", "bridge_ended"]


async def test_the_bot_is_put_away_once():
    line, bot = Line(), Bot()
    await line.talk(bot)
    await line.media.put_bot_away("transferred")
    await line.media.close("caller_hangup")
    assert bot.reasons == ["transferred"]


async def test_a_conversation_that_hangs_does_not_keep_the_ports(monkeypatch):
    monkeypatch.setattr("telebot.sip.media.END_WITHIN_S", 0.01)
    line, bot = Line(), Bot(hangs=True)
    await line.talk(bot)
    await line.media.close("server_error")
    assert line.stream.closed == 1


async def test_media_that_never_was_talked_on_is_closed():
    line = Line()
    await line.media.close("no_ack")
    assert (line.stream.closed, line.notes) == (1, ["rtp_stats"])


async def test_ports_that_do_not_open_are_not_waited_for(monkeypatch):
    monkeypatch.setattr("telebot.sip.media.OPEN_WITHIN_S", 0.01)

    async def never() -> RtpStream:
        await asyncio.Event().wait()
        raise AssertionError

    with pytest.raises(TimeoutError):
        await CallMedia.open(never(), TRUNK, lambda name, **_: None)
