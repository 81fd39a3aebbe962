"""One party's side of a call over SIP: a dialog, seen from our loop.

A leg is the same whichever side began it. What the peer does is told to the `Listener`; what we
want goes to the dialog in sippy's thread and returns at once. Used by `calls.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol

from telebot.sip.causes import Cause
from telebot.sip.messages import Identity, Notice, Question, Reply
from telebot.sip.trunks import KnownTrunk

if TYPE_CHECKING:
    from telebot.sip.dialog import Dialog
    from telebot.sip.stack import Stack


@dataclass(frozen=True, slots=True)
class Invite:
    """What an INVITE says. `sdp` is None for a late offer; numbers are SIP users as they came."""

    call_id: str
    phone_from: str
    phone_to: str
    source: tuple[str, int]
    sdp: bytes | None
    trunk: KnownTrunk


class Listener(Protocol):
    """Whoever holds the leg. Called on the loop, in order; must not wait."""

    def acknowledged(self, sdp: bytes | None) -> None:
        """Our 200 has arrived. `sdp` answers the offer that it carried, if it did."""
        ...

    def offered(self, sdp: bytes | None) -> None:
        """The peer wants other media (re-INVITE, UPDATE), or an offer of ours (None); to be
        followed by `Leg.answer` or `Leg.refuse`."""
        ...

    def keyed(self, digit: str) -> None:
        """A key by INFO."""
        ...

    def ended_itself(self, reason: str) -> None:
        """The leg cannot go on, for a termination reason; to be hung up."""
        ...

    def over(self, cause: Cause) -> None:
        """The leg is gone; told once, and not for what `hang_up` did."""
        ...


class Caller(Listener, Protocol):
    """Whoever holds a leg that we began."""

    def ringing(self, status: int, sdp: bytes | None) -> None:
        """A provisional response, 100 too. `sdp` is early media: a ringing tone or a word of the
        network's, nobody has answered."""
        ...

    def accepted(self, sdp: bytes | None) -> None:
        """Somebody has answered. `sdp` answers our offer, if it is not the early one's."""
        ...


class Leg:
    """One dialog."""

    def __init__(self, stack: Stack, dialog: Dialog, invite: Invite) -> None:
        self.invite = invite
        self.listener: Listener | None = None
        self.gone = False
        self._stack = stack
        self._dialog = dialog
        self._ended: Cause | None = None  # before there was a listener
        self.on_notice: Callable[[Notice], None] | None = None  # of a REFER of ours

    def listen(self, listener: Listener) -> None:
        """From now on, also what has happened already."""
        self.listener = listener
        if self._ended is not None:
            listener.over(self._ended)

    # what we want

    def ring(self) -> None:
        """180 Ringing."""
        self._stack.call(self._dialog.ring)

    def progress(self, sdp: bytes) -> None:
        """183 with early media."""
        self._stack.call(self._dialog.progress, sdp)

    def answer(self, sdp: bytes) -> None:
        """200 with our answer, or with our offer where the peer made none."""
        self._stack.call(self._dialog.answer, sdp)

    def refuse(self, cause: Cause) -> None:
        """No to an INVITE (the leg is gone then), or to other media (it stays as it was)."""
        self._stack.call(self._dialog.refuse, cause.status, cause.retry_after)

    def hang_up(self, cause: Cause) -> None:
        """End it, whatever its state: BYE, CANCEL or a refusal. Idempotent."""
        if not self.gone:
            self.gone, self.listener = True, None  # who need not know of it
            self._stack.call(self._dialog.hang_up, cause)

    async def ask(self, question: Question) -> Reply:
        """A request within the call; 408 where nobody answers, 481 where there is no call."""
        return await self._stack.answered(partial(self._dialog.ask, question))

    async def identify(self) -> Identity:
        """What others call this dialog by."""
        return await self._stack.answered(self._dialog.identify)

    # what the dialog tells

    def notified(self, notice: Notice) -> None:
        """For `Dialog`."""
        if self.on_notice is not None:
            self.on_notice(notice)

    def acknowledged(self, sdp: bytes | None) -> None:
        """For `Dialog`."""
        if self.listener is not None and not self.gone:
            self.listener.acknowledged(sdp)

    def offered(self, sdp: bytes | None) -> None:
        """For `Dialog`."""
        if self.listener is not None and not self.gone:
            self.listener.offered(sdp)

    def keyed(self, digit: str) -> None:
        """For `Dialog`."""
        if self.listener is not None and not self.gone:
            self.listener.keyed(digit)

    def expired(self) -> None:
        """For `Dialog`: the session timer ran out, or its refresh had no answer."""
        if self.listener is not None and not self.gone:
            self.listener.ended_itself("session_expired")

    def unreachable(self) -> None:
        """For `Dialog`: a reliable provisional response was never acknowledged."""
        if self.listener is not None and not self.gone:
            self.listener.ended_itself("no_ack")

    def over(self, cause: Cause) -> None:
        """For `Dialog`."""
        if self.gone:
            return
        self.gone = True
        self._ended = cause
        listener, self.listener = self.listener, None
        if listener is not None:
            listener.over(cause)


class OutgoingLeg(Leg):
    """A leg that we began. Its listener is a `Caller` until it was accepted."""

    caller: Caller | None = None

    def call(self, caller: Caller, begin: Callable[[], None]) -> None:
        """Send the INVITE, and tell `caller` what becomes of it."""
        self.caller = self.listener = caller
        begin()

    def ringing(self, status: int, sdp: bytes | None) -> None:
        """For `Outgoing`."""
        if self.caller is not None and not self.gone:
            self.caller.ringing(status, sdp)

    def accepted(self, sdp: bytes | None) -> None:
        """For `Outgoing`."""
        if self.caller is not None and not self.gone:
            self.caller.accepted(sdp)
            self.caller = None
