"""A session of speech to speech by proxy: the vendor hears, takes the turns and speaks; this passes
audio and words between it and the client, and keeps the record of a call.

None of the telephone's parts takes part (`docs/decisions/0022-…`). A vendor that fails is replaced
by the next one (`direct_vendors.py`), which is told what was said; where nobody is left the session
ends. What is said becomes turns in `direct_turns.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from telebot.call.errors import ProviderError
from telebot.call.model import State
from telebot.providers.direct import (
    CallerStarts,
    CallerStops,
    CallerText,
    DirectEvent,
    Manner,
    ReplyAudio,
    ReplyEnds,
    ReplyStarts,
    ReplyText,
    Used,
)
from telebot.speech.direct_record import DirectOutside, DirectRecord
from telebot.speech.direct_turns import DirectTurns
from telebot.speech.direct_vendors import DirectLink, NobodyLeft, OpenSession, Vendors

log = structlog.get_logger()


class Direct:
    """One direct session. It is `begun`, then fed; `close` is the last call."""

    def __init__(
        self, vendors: Vendors, session: OpenSession, manner: Manner, record: DirectRecord
    ) -> None:
        """`session` is one that `vendors` opened."""
        self.outside = record.outside
        self._vendors = vendors
        self._manner = manner
        self._record = record
        self._turns = DirectTurns(self.outside, record)
        self._session, self._since = session, 0  # the session in use, and its first turn
        self._changing = asyncio.Lock()
        self._over = False
        self._tasks: list[asyncio.Task[None]] = []
        self._cutting: set[asyncio.Task[None]] = set()

    # --- its life ------------------------------------------------------------------------------

    @classmethod
    async def begun(
        cls, links: Sequence[DirectLink], manner: Manner, outside: DirectOutside
    ) -> Direct:
        """With the first vendor that can. Raises `NobodyLeft`; nothing was said then."""
        record = DirectRecord(outside)
        vendors = Vendors(links, record)
        direct = cls(vendors, await vendors.open(manner, ()), manner, record)
        direct._begin()
        return direct

    def _begin(self) -> None:
        self._record.begin()
        self._tasks = [
            asyncio.create_task(self._turns.run(), name="direct voice"),
            asyncio.create_task(self._listen(), name="direct session"),
        ]
        if self.outside.budget is not None:
            self.outside.budget.begin(self)
        self._record.state(State.LISTENING)

    async def close(self) -> None:
        """Nothing of it is left; what was being said is in the record."""
        if self._over:
            return
        self._over = True
        self._turns.interrupt()
        tasks = [*self._tasks, *self._cutting]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self.outside.budget is not None:
            self.outside.budget.close()
        self._record.close()
        await self._session.close()

    @property
    def provider(self) -> str:
        """Who holds it."""
        return self._session.name

    # --- what the client does ------------------------------------------------------------------

    async def hear(self, pcm16: bytes) -> None:
        """Its audio, at the session's rate."""
        self._record.caller(pcm16)
        await self._session.hear(pcm16)

    async def say(self, text: str) -> None:
        """A typed turn."""
        async with self._changing:  # a session that is just being replaced would lose it
            await self.hush()
            self._turns.typed(text)
            await self._session.say(text)

    async def hush(self) -> None:
        """Say no more."""
        heard_s = self._turns.interrupt()
        if heard_s is not None:
            self._session.cut(heard_s)
            await self._session.tell_cut()
        self._record.state(State.LISTENING)

    async def change(self, manner: Manner) -> None:
        """Be otherwise from the next answer on. Raises ProviderError."""
        async with self._changing:
            await self._session.change(manner)
            self._manner = manner

    async def reset(self) -> None:
        """Begin anew, with the first vendor. Raises `NobodyLeft`: the old session goes on then."""
        async with self._changing:
            await self._move(Vendors(self._vendors.links, self._record), forget=True)

    async def move(self, links: Sequence[DirectLink]) -> None:
        """Go on with the first of these, which is told what was said. Raises `NobodyLeft`: the old
        one goes on then."""
        async with self._changing:
            await self._move(Vendors(links, self._record))

    async def _move(self, vendors: Vendors, *, forget: bool = False) -> None:
        await self.hush()
        session = await vendors.open(self._manner, () if forget else self._turns.history)
        vendors.rule_in()
        old, self._vendors = self._session, vendors
        self._use(session)
        if forget:
            self._turns.forget()
        await old.close()  # its listening ends; `_listen` goes on with the new one

    def _use(self, session: OpenSession) -> None:
        self._session, self._since = session, self._turns.index

    # --- what the vendor does ------------------------------------------------------------------

    async def _listen(self) -> None:
        """The session's own task: what the vendor says, from whichever vendor it is."""
        while True:
            session = self._session
            try:
                async for event in session.events():
                    if session is self._session:
                        self._take(session, event)
            except ProviderError as error:
                if session is self._session:
                    await self._replace(session, error)
            except Exception:
                log.exception("direct session failed", call_id=self.outside.call.id)
                self.outside.end("server_error")
                return

    def _take(self, session: OpenSession, event: DirectEvent) -> None:
        turns = self._turns
        match event:
            case CallerStarts():
                heard_s = turns.speech_starts()
                if heard_s is not None:
                    self._cut(session, heard_s)
            case CallerStops(silence_s):
                turns.speech_stops(silence_s)
            case CallerText(text, final):
                turns.said(text, final=final)
            case ReplyStarts():
                turns.reply_starts(session.name)
            case ReplyAudio(pcm16):
                turns.reply_audio(session.at_clients_rate(pcm16))
            case ReplyText(text):
                turns.reply_text(text)
            case ReplyEnds():
                turns.reply_ends()
            case Used():
                self._record.used(session.link.plan, event)

    def _cut(self, session: OpenSession, heard_s: float) -> None:
        """It is told beside the listening, which a vendor that takes nothing must not hold up; but
        cut at once, for the next answer may be the next thing to come."""
        session.cut(heard_s)
        cutting = asyncio.create_task(session.tell_cut())
        self._cutting.add(cutting)
        cutting.add_done_callback(self._cutting.discard)

    async def _replace(self, session: OpenSession, error: ProviderError) -> None:
        """One that has answered may be opened again; one that never did may not."""
        async with self._changing:
            if session is not self._session:
                return  # another one has its place
            self._vendors.failed(session.link, error)
            if self._turns.index == self._since:
                self._vendors.rule_out(session.link)
            unanswered = self._turns.unanswered
            self._turns.interrupt()
            await session.close()
            try:
                self._use(await self._vendors.open(self._manner, self._turns.history))
            except NobodyLeft:
                self.note_event("no_provider", kind="realtime")
                self.outside.end("server_error")
                await asyncio.Event().wait()  # until it is closed
            self._record.state(State.LISTENING)
            if unanswered:
                self._turns.waits_for_answer(unanswered)
                await self._session.say(unanswered)

    # --- its budget ----------------------------------------------------------------------------

    def budget_spent(self) -> None:
        """It may cost no more (`budget.Payer`)."""
        self.outside.end("budget")

    def note_event(self, name: str, **fields: object) -> None:
        """Into the record (`budget.Payer`)."""
        self._record.event(name, **fields)
