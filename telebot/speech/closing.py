"""How a call ends from our side: what is said last, that it is heard, then the hang-up or transfer.

A goodbye that the caller interrupts is taken back, except where the call has to end whatever is
said (`FIRM`). The reason kept here is the one the call's record gets.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol

from telebot.call.session import Move
from telebot.dialog.actions import Action, EndCall, Transfer
from telebot.speech.mailbox import TAKEN, Mailbox
from telebot.speech.transfers import SETTLE_S, Transfers

CONFIRM_S = 1.5  # a last mark that does not come back holds the hang-up up this long
FIRM = frozenset({"max_duration", "budget", "server_error", "drained", TAKEN})
GOODBYES = {
    "silence": "silence_goodbye",
    "max_duration": "max_duration",
    "budget": "budget",
    "server_error": "apology",
    "drained": "closing",
    TAKEN: "message_thanks",
}


class Line(Protocol):
    """What an ending asks of the conversation."""

    def say(self, name: str) -> bool: ...

    def listen(self) -> None: ...

    def move(self, move: Move) -> None: ...

    def do(self, effect: Callable[[], Awaitable[None]]) -> None: ...

    def note_event(self, name: str, **fields: object) -> None: ...


class Closing:
    """One call's ending. `reason` is set once we hang up or have transferred."""

    def __init__(
        self,
        line: Line,
        transfers: Transfers,
        mailbox: Mailbox,
        *,
        confirmed: Callable[[float], Awaitable[None]],
        hang_up: Callable[[], Awaitable[None]],
    ) -> None:
        self._line = line
        self._transfers = transfers
        self._mailbox = mailbox
        self._confirmed = confirmed
        self._hang_up = hang_up
        self._saying: str | None = None  # the reason for which the bot is saying goodbye
        self._giving_up = False  # nothing of ours works; a person is to take over
        self._after: list[Action] = []  # what the reply being said asks for once it was heard
        self._putting: asyncio.Event | None = None  # set once it is known what came of a transfer
        self._due = ""  # a goodbye that waits for the end of a transfer
        self.over = False
        """The stream is: nothing more can be said."""
        self.reason: str | None = None

    async def settled(self) -> None:
        """The stream is over; a transfer under way may have ended it."""
        self.over = True
        await self._transfers.settled()
        if self._putting is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._putting.wait(), SETTLE_S)

    @property
    def firm(self) -> bool:
        """The caller has no say: the call ends now, waits for a person, or takes a message."""
        return self._saying in FIRM or self._transfers.waiting or self._mailbox.taking

    @property
    def ending(self) -> bool:
        """A goodbye is being said, the caller being put through, or a message left."""
        return self._saying is not None or self._transfers.under_way or self._mailbox.taking

    def goodbye(self, reason: str) -> None:
        """Say why the call ends, then hang up. `reason` is a termination reason."""
        if self.over or self._saying in FIRM or self._saying == reason:
            return
        if self._transfers.decided:
            self._due = reason
            return
        self._transfers.give_up()
        self._mailbox.close()
        if self._line.say(GOODBYES.get(reason, "closing")):
            self._saying = reason
        else:
            self._hang_up_when_heard(reason)

    def give_up(self, person: Transfer | None) -> None:
        """Nothing works any more: say so, and put the caller through to `person` where that can be
        done, else take a message or hang up."""
        if self.over or self.firm or self._giving_up:
            return
        if person is None or not self._transfers.possible or not self._line.say("apology_transfer"):
            self._without_a_person()
        else:
            self._giving_up = True
            self._after = [person]

    def take_back(self) -> None:
        """The caller interrupted what was being said: no ending follows from it."""
        self._saying = None
        self._giving_up = False
        self._after.clear()

    def after_reply(self, actions: list[Action]) -> None:
        """What the reply that is being said asks for once it was heard to its end."""
        self._after = actions

    def reply_was_heard(self) -> bool:
        """What was being said is over. True where an ending follows from it."""
        after, self._after = self._after, []
        if self._saying is not None:
            self._hang_up_when_heard(self._saying)
            return True
        for action in after:
            if isinstance(action, EndCall):
                self._hang_up_when_heard("bot_hangup")
            elif isinstance(action, Transfer):
                self.put_through(action)
        return bool(after)

    def announce(self, transfer: Transfer) -> None:
        """Somebody else wants the caller put through: say so, then do it."""
        if self._line.say("transfer"):
            self._after = [transfer]
        else:
            self.put_through(transfer)

    def put_through(self, transfer: Transfer) -> None:
        """Put the caller through, behind what was asked for before."""
        self._line.do(partial(self._put_through, transfer))

    def hang_up(self, reason: str) -> None:
        """Hang up without another word."""
        self._transfers.give_up()
        self.reason = self.reason or reason
        self._line.do(self._hang_up)

    def fail(self) -> None:
        """The call's own work failed: no more to say."""
        self.hang_up("server_error")

    def _hang_up_when_heard(self, reason: str) -> None:
        """Hang up once the carrier says that the last words were played."""
        self._saying = reason
        self._line.do(self._hang_up_if_meant)

    async def _hang_up_if_meant(self) -> None:
        await self._confirmed(CONFIRM_S)
        if self._saying is None:
            return  # interrupted: the caller has more to say
        self.reason = self._saying
        self._line.note_event("hang_up", reason=self.reason)
        await self._hang_up()

    async def _put_through(self, transfer: Transfer) -> None:
        if self.over or self._saying is not None:
            return
        self._line.move(Move.TRANSFER)
        self._putting = asyncio.Event()
        try:
            if done := await self._transfers.put(transfer):
                self.reason = "transferred"
        finally:
            self._putting.set()
        if done:
            await self._hang_up()
        else:
            self._stay()

    def _stay(self) -> None:
        """Nobody took the caller over."""
        if self.over:
            return
        self._line.move(Move.TRANSFER_FAILED)
        if self._saying is not None or self.reason is not None:
            return  # another ending has come in between
        if self._due:
            self.goodbye(self._due)
        elif self._giving_up:  # the person was the last one who could help
            self._without_a_person()
        elif not self._line.say("transfer_failed"):
            self._line.listen()

    def _without_a_person(self) -> None:
        if not self._mailbox.open():
            self.goodbye("server_error")
