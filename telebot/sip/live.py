"""One call over SIP, from its INVITE to its end: the call's task.

The sibling of `web/media_stream.py`. What the leg (`leg.py`) tells is decided on here, what the
caller says (`media.py`) goes to the conversation; however it ends, the call ends once, with a
reason.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import structlog

from telebot.call.admission import Admission
from telebot.call.errors import CarrierError, Refused
from telebot.call.events import Conversations
from telebot.call.model import Call, CallOffer, State, WireEvent
from telebot.sip import sdp
from telebot.sip.causes import TRUNK_FULL, Cause, read, told
from telebot.sip.leg import Leg
from telebot.sip.media import CallMedia
from telebot.sip.ports import Busy
from telebot.sip.rtp import RtpStream
from telebot.sip.second_leg import SecondLeg

MOST_KEYS = 64  # that wait for the conversation
ACK_WITHIN_S = 33.0  # after the last 200 was sent (64 times T1, RFC 3261 section 13.3.1.4)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every call works with. `carrier` is the name its offers bear; `open_media` opens the
    RTP of a call, given which addresses it may talk with."""

    carrier: str
    admission: Admission
    conversations: Conversations
    open_media: Callable[[Callable[[str], bool]], Awaitable[RtpStream]]


class LiveCall:
    """The leg's `Listener`, and the call on it once it was admitted."""

    def __init__(
        self, around: Surroundings, leg: Leg, carrier_call_id: str, *, trunk_full: bool = False
    ) -> None:
        self._around = around
        self.leg = leg  # the caller's
        self.trunk = leg.invite.trunk
        self._trunk_full = trunk_full
        self._carrier_call_id = carrier_call_id
        self.call: Call | None = None
        self._token = ""
        self._media: CallMedia | None = None
        self._began: float | None = None  # when they could hear each other
        self._keys: deque[str] = deque(maxlen=MOST_KEYS)  # by INFO
        self._reason = ""  # the first one stands
        self._up: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
        self._stopped = asyncio.Event()
        self._bot_left = asyncio.Event()
        self._woken = asyncio.Event()  # by a key, or because the bot left

    async def run(self, admitted: Callable[[LiveCall, Call], Callable[[], None]]) -> None:
        """The call's task."""
        forget: Callable[[], None] | None = None
        try:
            self.call, self._token = self._admit()
            forget = admitted(self, self.call)
            structlog.contextvars.bind_contextvars(call_id=self.call.id)
            if await self._connect():
                await self._converse(self.call)
        except Refused as refused:
            self.leg.hang_up(told(refused.reason))
        except Busy:
            self._fail("capacity", told("capacity"))
        except sdp.BadSdp as bad:
            self._fail("bad_media", Cause(400, 111, str(bad)))
        except sdp.NotAcceptable as bad:
            self._fail("bad_media", Cause(488, 88, str(bad)))
        except asyncio.CancelledError:  # nobody would wait any longer
            self._reason = self._reason or "drained"
            raise
        except Exception:  # the boundary of the call's task
            self._reason = self._reason or "server_error"
            log.exception("call_failed", call_id=self.call.id if self.call else "")
        finally:
            await self._end()
            if forget is not None:
                forget()

    def stop(self, reason: str) -> None:
        """End the call from our side for `reason`."""
        self._reason = self._reason or reason
        self._stopped.set()
        self._bot_left.set()
        self._woken.set()
        if not self._up.done():
            self._up.set_result(None)

    @property
    def ended(self) -> asyncio.Event:
        """Set once the call is over or about to be."""
        return self._stopped

    @property
    def stream(self) -> RtpStream:
        """The caller's media. Raises `CarrierError` before there is any."""
        if self._media is None:
            raise CarrierError("the call has no media yet")
        return self._media.stream

    def join(self, person: SecondLeg) -> bool:
        """Let the caller talk with a person from now on, without the bot; False where the caller is
        gone. The call lasts until either hangs up, and the person's leg is closed with it."""
        media = self._media
        if self._stopped.is_set() or media is None or not media.begun:
            return False
        assert self.call is not None
        self._around.admission.keep(self.call)
        self._reason = "transferred"
        media.join(person)
        person.on_gone = lambda: self.stop("transferred")
        return True

    @property
    def _person(self) -> SecondLeg | None:
        return None if self._media is None else self._media.person

    def _bot_leaves(self) -> None:
        """The conversation hangs up: the call is over, or goes on without it."""
        if self._person is None:
            self.stop("bot_hangup")
        self._bot_left.set()
        self._woken.set()

    # the leg's `Listener`

    def acknowledged(self, answer: bytes | None) -> None:
        """Our 200 has arrived."""
        if not self._up.done():
            self._up.set_result(answer)
        elif answer is not None:
            self._take_late(answer)

    def offered(self, offer: bytes | None) -> None:
        """Other media: hold, resume, another address."""
        media = self._media
        if media is None:
            self.leg.refuse(told("server_error"))
            return
        media.agreement.reply(self.leg, offer)
        media.watch_hold()

    def keyed(self, digit: str) -> None:
        """A key by INFO."""
        if self._person is not None:
            self._person.stream.send_digits(digit)
            return
        self._keys.append(digit)
        self._woken.set()

    def ended_itself(self, reason: str) -> None:
        """Nobody is there any more, or the leg cannot go on."""
        self.stop(reason)

    def over(self, cause: Cause) -> None:
        """The peer hung up."""
        self.note("bye", status=cause.status, q850=cause.q850, text=cause.text)
        self.stop(read(cause))

    # its way

    async def _connect(self) -> bool:
        """Until both sides hear each other; False where the call ended before that."""
        if self._trunk_full:
            self._fail("capacity", TRUNK_FULL)
            return False
        self.leg.listen(self)
        await self._answer()
        return await self._acknowledgement()

    def _admit(self) -> tuple[Call, str]:
        invite = self.leg.invite
        offer = CallOffer(
            self._around.carrier, self._carrier_call_id, invite.phone_from, invite.phone_to
        )
        return self._around.admission.admit(offer)

    async def _answer(self) -> None:
        """From 180 to 200."""
        invite = self.leg.invite
        self.note(
            "invite",
            trunk=self.trunk.name,
            source=invite.source[0],
            late_offer=invite.sdp is None,
        )
        self.leg.ring()
        self.note("ringing")
        media = await self._open_media()
        self.leg.answer(media.agreement.answer(invite.sdp))

    async def _open_media(self) -> CallMedia:
        opening = self._around.open_media(self._may_talk_with)
        self._media = media = await CallMedia.open(opening, self.trunk, self.note)
        media.stream.on_silent = lambda: self.stop("stream_lost")
        media.stream.on_failed = lambda: self.stop("server_error")
        return media

    async def _acknowledgement(self) -> bool:
        """Wait for the ACK; False where the call ended before it."""
        try:
            async with asyncio.timeout(ACK_WITHIN_S):
                answer = await self._up
        except TimeoutError:
            self._reason = self._reason or "no_ack"
            return False
        if self._media is not None:
            if answer is not None:
                self._media.agreement.take(answer)
            self._media.watch_hold()
        return not self._stopped.is_set()

    async def _converse(self, call: Call) -> None:
        around, media = self._around, self._media
        assert media is not None
        around.admission.connect(self._token, around.carrier, self._carrier_call_id)
        self._began = time.monotonic()
        self.note("answered")
        log.info("call_started", carrier=around.carrier, agent=call.agent)
        sink = await media.begin(around.conversations, call, self._bot_leaves)
        while not self._bot_left.is_set():
            self._woken.clear()
            while self._keys:
                await sink.digit(self._keys.popleft())
            await self._woken.wait()
        if self._person is not None and not self._stopped.is_set():
            await media.put_bot_away(self._reason)
            call.state = State.TRANSFERRING
            around.admission.log.state(call)
            await self._stopped.wait()

    def _take_late(self, answer: bytes) -> None:
        """The same in the middle of the call."""
        if self._media is None:
            return
        try:
            self._media.agreement.take(answer)
        except (sdp.BadSdp, sdp.NotAcceptable):
            self.stop("bad_media")
        self._media.watch_hold()

    def _may_talk_with(self, address: str) -> bool:
        return self.trunk.may_talk_with(address, self.leg.invite.source[0])

    def _fail(self, reason: str, cause: Cause) -> None:
        self._reason = self._reason or reason
        self.leg.hang_up(cause)

    def note(self, name: str, **fields: Any) -> None:
        """An event of the call's record."""
        if self.call is not None:
            admission, began = self._around.admission, self._began
            offset_s = None if began is None else round(time.monotonic() - began, 3)
            event = WireEvent(admission.wall_clock(), offset_s, name, fields)
            admission.log.event(self.call, event)

    # its end

    async def _end(self) -> None:
        """Hang up and put the call away, in bounded time."""
        self.leg.hang_up(told(self._reason))
        call, admission = self.call, self._around.admission
        if call is None:
            return
        try:
            if self._media is not None:
                await self._media.close(self._reason)
        finally:
            self._media = None  # which knows us
            admission.release(call)
            admission.end(call, self._reason)
        reason = call.termination.reason if call.termination else self._reason
        log.info("call_ended", reason=reason)
