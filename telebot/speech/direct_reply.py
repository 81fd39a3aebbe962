"""The answers of a direct session on their way to its client: in time, and what was heard of each.

Audio is sent at most `LEAD_S` ahead of its play-out, so that little has to be taken back when the
client speaks over it. Where a word lies in the audio is not known: words are counted by length.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime

from telebot.call.ports import Clock

LEAD_S = 0.5


@dataclass(slots=True)
class DirectReply:
    """One answer. Times are `Clock`'s."""

    index: int
    wanted_at: float
    created_at: datetime
    provider: str
    caller_text: str | None = None
    text: str = ""
    audio_s: float = 0.0  # that came
    began_at: float | None = None  # its first audio is played
    sent_s: float = 0.0
    whole: bool = False  # nothing more will come
    interrupted: bool = False

    @property
    def unheard(self) -> str | None:
        """What it answers, where nothing of it was heard."""
        return self.caller_text if self.began_at is None else None

    def heard_s(self, now: float) -> float:
        """How much of its audio was played."""
        return 0.0 if self.began_at is None else max(0.0, min(now - self.began_at, self.sent_s))

    def heard(self, now: float) -> str:
        """The words of it that were played."""
        if self.whole and self.heard_s(now) >= self.audio_s - 0.05:
            return self.text
        words = self.text.split()
        share = self.heard_s(now) / self.audio_s if self.audio_s else 0.0
        letters, heard = share * (len(self.text) + 1), []
        for word in words:
            letters -= len(word) + 1
            if letters < -len(word) / 2:
                break
            heard.append(word)
        return " ".join(heard)


@dataclass(slots=True)
class _Piece:
    reply: DirectReply
    pcm16: bytes  # b"": the end of the reply


@dataclass(slots=True)
class DirectVoice:
    """Sends pieces in time; `run` is its task. `played` is told when a reply was played to its end,
    `first` when its first audio leaves."""

    send: Callable[[bytes], None]
    bytes_per_s: int
    clock: Clock
    first: Callable[[DirectReply], None]
    played: Callable[[DirectReply], Awaitable[None]]
    record: Callable[[bytes, float], None]  # audio, and when it is played
    _pieces: asyncio.Queue[_Piece] = field(default_factory=asyncio.Queue)
    _until: float = 0.0  # what was sent is played

    def say(self, reply: DirectReply, pcm16: bytes) -> None:
        """More of a reply."""
        reply.audio_s += len(pcm16) / self.bytes_per_s
        self._pieces.put_nowait(_Piece(reply, pcm16))

    def end(self, reply: DirectReply) -> None:
        """There is no more."""
        reply.whole = True
        self._pieces.put_nowait(_Piece(reply, b""))

    def drop(self) -> None:
        """Forget what was not sent; what was is the client's to drop."""
        while not self._pieces.empty():
            self._pieces.get_nowait()
        self._until = 0.0

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            piece = await self._pieces.get()
            reply = piece.reply
            if not piece.pcm16:
                await asyncio.sleep(max(0.0, self._until - self.clock()))
                if not reply.interrupted:
                    await self.played(reply)
                continue
            for at in range(0, len(piece.pcm16), self.bytes_per_s // 10):
                await asyncio.sleep(max(0.0, self._until - self.clock() - LEAD_S))
                if reply.interrupted:
                    break
                self._send(reply, piece.pcm16[at : at + self.bytes_per_s // 10])

    def _send(self, reply: DirectReply, pcm16: bytes) -> None:
        now = self.clock()
        begins = max(now, self._until)
        self._until = begins + len(pcm16) / self.bytes_per_s
        self.send(pcm16)
        self.record(pcm16, begins)
        reply.sent_s += len(pcm16) / self.bytes_per_s
        if reply.began_at is None:
            reply.began_at = begins
            self.first(reply)
