"""The turns of a direct session, as its vendor tells of them: who speaks, what was said, and how
much of each answer was heard.

Every answer becomes one `Turn` of the record and two messages of the history that a vendor who
takes over is told. Nothing here waits for a vendor. Next: `direct_reply.py`, which plays the
answers, and `direct_record.py`.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from telebot.call.model import State
from telebot.speech.direct_record import DirectOutside, DirectRecord
from telebot.speech.direct_reply import DirectReply, DirectVoice

TEXT_WAIT_S = 2.0  # words of the client's may come after the answer to them


class DirectTurns:
    """One session's. `run` is the task that plays the answers."""

    def __init__(self, outside: DirectOutside, record: DirectRecord) -> None:
        self.history: list[dict[str, Any]] = []
        self.index = 0  # of the turn that is made now, or comes next
        self._outside = outside
        self._record = record
        self._voice = DirectVoice(
            outside.send,
            outside.rate_hz * 2,
            outside.clock,
            first=self._first_audio,
            played=self._played,
            record=record.bot,
        )
        self._reply: DirectReply | None = None
        self._caller: str | None = None  # what the client has said, as far as nobody answers it
        self._stopped_at: float | None = None
        self._heard = asyncio.Event()  # all of the client's words are there

    async def run(self) -> None:
        """Play the answers, until it is cancelled."""
        await self._voice.run()

    # --- the client ----------------------------------------------------------------------------

    def speech_starts(self) -> float | None:
        """The client speaks; what is returned is as of `interrupt`."""
        heard_s = self.interrupt()
        self._caller, self._stopped_at = None, None
        self._heard.clear()
        self._record.state(State.LISTENING)
        return heard_s

    def speech_stops(self, silence_s: float) -> None:
        """It has ended so long ago."""
        self._stopped_at = self._outside.clock() - silence_s
        self._record.state(State.THINKING)

    def said(self, text: str, *, final: bool) -> None:
        """The client's words; not `final`: as far as they are understood."""
        if not final:
            self._outside.audience.partial(text)
            return
        self._heard.set()
        if not text:
            return
        self._caller = text
        reply = self._reply
        if reply is not None and reply.caller_text is None:
            reply.caller_text = text
        self._outside.audience.transcript(self.index, text)

    def typed(self, text: str) -> None:
        """A turn that needs no hearing."""
        self._stopped_at = self._outside.clock()
        self._outside.audience.transcript(self.index, text)
        self.waits_for_answer(text)

    def waits_for_answer(self, text: str) -> None:
        """A vendor is asked to answer this."""
        self._caller = text
        self._heard.set()
        self._record.state(State.THINKING)

    @property
    def unanswered(self) -> str | None:
        """What the client said last, where nothing of an answer to it was heard."""
        return self._caller if self._reply is None else self._reply.unheard

    def forget(self) -> None:
        """Begin as if nothing had been said."""
        self.history.clear()
        self._caller = None

    # --- the answer ----------------------------------------------------------------------------

    def reply_starts(self, provider: str) -> None:
        """An answer of this provider's begins; one that is still played ends."""
        caller, stopped_at = self._caller, self._stopped_at
        self.interrupt()
        self._caller, self._stopped_at = caller, stopped_at
        now, wall = self._outside.clock(), self._outside.now()
        self._reply = DirectReply(self.index, now, wall, provider, caller)
        self._record.state(State.THINKING)

    def reply_audio(self, pcm16: bytes) -> None:
        """More of it, at the client's rate."""
        if self._reply is not None:
            self._voice.say(self._reply, pcm16)

    def reply_text(self, text: str) -> None:
        """More of its words."""
        reply = self._reply
        if reply is not None:
            reply.text += text
            self._outside.audience.reply(reply.index, reply.text.strip())

    def reply_ends(self) -> None:
        """All of it has come."""
        if self._reply is not None:
            self._voice.end(self._reply)

    def interrupt(self) -> float | None:
        """End the answer under way: seconds of it that were heard, None where there is none."""
        reply = self._reply
        if reply is None:
            return None
        heard_s = reply.heard_s(self._outside.clock())
        reply.interrupted = True
        self._voice.drop()
        if reply.began_at is not None:
            self._outside.clear()
            self._record.event("clear")
        self._finish(reply)
        return heard_s

    def _first_audio(self, reply: DirectReply) -> None:
        self._record.state(State.SPEAKING)

    async def _played(self, reply: DirectReply) -> None:
        """To its end. The client's words may still be on their way."""
        if reply.caller_text is None:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._heard.wait(), TEXT_WAIT_S)
        if reply is self._reply and not reply.interrupted:
            self._finish(reply)
            self._record.state(State.LISTENING)

    def _finish(self, reply: DirectReply) -> None:
        """Its turn is in the record."""
        heard = reply.heard(self._outside.clock())
        caller = reply.caller_text or self._caller
        self._reply = self._caller = None
        for role, text in (("user", caller), ("assistant", heard)):
            if text:
                self.history.append({"role": role, "content": text})
        self._record.turn(reply, caller, heard, self._stopped_at)
        self.index += 1
