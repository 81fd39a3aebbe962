"""One call over SIP, from its INVITE to its end: the call's task.

The sibling of `web/media_stream.py`. What the leg (`leg.py`) tells and what the RTP stream
(`rtp.py`) hears goes to the conversation; however it ends, the call ends once, with a reason.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import Any

import structlog

from telebot.call.admission import Admission
from telebot.call.errors import CarrierError, Refused
from telebot.call.events import Conversations
from telebot.call.model import Call, CallOffer, State, WireEvent
from telebot.sip import sdp
from telebot.sip.agreement import Agreement
from telebot.sip.bridge import connect
from telebot.sip.causes import TRUNK_FULL, Cause, read, told
from telebot.sip.leg import Leg
from telebot.sip.ports import Busy
from telebot.sip.rtp import RtpStream
from telebot.sip.second_leg import SecondLeg
from telebot.sip.wire import Ears, Wire

END_WITHIN_S = 20.0  # for the conversation to put everything away
OPEN_WITHIN_S = 2.0  # for the RTP ports
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
        self._leg = leg
        self.trunk = leg.invite.trunk
        self._trunk_full = trunk_full
        self._carrier_call_id = carrier_call_id
        self.call: Call | None = None
        self._token = ""
        self._stream: RtpStream | None = None
        self._agreement: Agreement | None = None  # once there is a stream
        self._sink: Ears | None = None
        self._began: float | None = None  # when the stream did
        self._held = False  # by the peer
        self._keys: deque[str] = deque(maxlen=MOST_KEYS)  # by INFO
        self._reason = ""  # the first one stands
        self._up: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
        self._stopped = asyncio.Event()
        self._bot_left = asyncio.Event()
        self._woken = asyncio.Event()  # by a key, or because the bot left
        self._wire: Wire | None = None
        self._person: SecondLeg | None = None  # with whom the caller talks instead of the bot
        self._joined_at = 0.0

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
            self._leg.hang_up(told(refused.reason))
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
    def leg(self) -> Leg:
        """The caller's."""
        return self._leg

    @property
    def ended(self) -> asyncio.Event:
        """Set once the call is over or about to be."""
        return self._stopped

    def note(self, name: str, **fields: Any) -> None:
        """An event of the call's record."""
        self._note(name, **fields)

    @property
    def stream(self) -> RtpStream:
        """The caller's media. Raises `CarrierError` before there is any."""
        if self._stream is None:
            raise CarrierError("the call has no media yet")
        return self._stream

    def join(self, person: SecondLeg) -> bool:
        """Let the caller talk with a person from now on, without the bot; False where the caller is
        gone. The call lasts until either hangs up, and the person's leg is closed with it."""
        if self._stopped.is_set() or self._stream is None or self._wire is None:
            return False
        assert self.call is not None
        self._around.admission.keep(self.call)
        self._reason = "transferred"
        self._person, self._joined_at = person, time.monotonic()
        self._wire.mute()
        connect(self._stream, person.stream)
        person.on_gone = lambda: self.stop("transferred")
        self._note("bridged", trunk=person.trunk.name)
        return True

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
        agreement = self._agreement
        if agreement is None:
            self._leg.refuse(told("server_error"))
            return
        try:
            self._leg.answer(agreement.answer(offer))
        except sdp.BadSdp:
            self._leg.refuse(Cause(400))
        except sdp.NotAcceptable:
            self._leg.refuse(Cause(488))
        self._watch_hold()

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
        self._note("bye", status=cause.status, q850=cause.q850, text=cause.text)
        self.stop(read(cause))

    # its way

    async def _connect(self) -> bool:
        """Until both sides hear each other; False where the call ended before that."""
        if self._trunk_full:
            self._fail("capacity", TRUNK_FULL)
            return False
        self._leg.listen(self)
        await self._answer()
        return await self._acknowledgement()

    def _admit(self) -> tuple[Call, str]:
        invite = self._leg.invite
        offer = CallOffer(
            self._around.carrier, self._carrier_call_id, invite.phone_from, invite.phone_to
        )
        return self._around.admission.admit(offer)

    async def _answer(self) -> None:
        """From 180 to 200."""
        invite = self._leg.invite
        self._note(
            "invite",
            trunk=self.trunk.name,
            source=invite.source[0],
            late_offer=invite.sdp is None,
        )
        self._leg.ring()
        self._note("ringing")
        await self._open_media()
        self._leg.answer(self._agreed.answer(invite.sdp))

    async def _open_media(self) -> None:
        async with asyncio.timeout(OPEN_WITHIN_S):
            self._stream = stream = await self._around.open_media(self._may_talk_with)
        self._agreement = Agreement(stream, self.trunk.settings.codecs)
        stream.on_silent = lambda: self.stop("stream_lost")
        stream.on_failed = lambda: self.stop("server_error")

    @property
    def _agreed(self) -> Agreement:
        assert self._agreement is not None
        return self._agreement

    async def _acknowledgement(self) -> bool:
        """Wait for the ACK; False where the call ended before it."""
        try:
            async with asyncio.timeout(ACK_WITHIN_S):
                answer = await self._up
        except TimeoutError:
            self._reason = self._reason or "no_ack"
            return False
        if answer is not None:
            self._agreed.take(answer)
        self._watch_hold()
        return not self._stopped.is_set()

    async def _converse(self, call: Call) -> None:
        stream = self._stream
        assert stream is not None
        around = self._around
        around.admission.connect(self._token, around.carrier, self._carrier_call_id)
        self._began = time.monotonic()
        self._note("answered")
        log.info("call_started", carrier=around.carrier, agent=call.agent)
        self._wire = Wire(stream, self._bot_leaves)
        self._sink = sink = Ears(await around.conversations.start(call, self._wire))
        self._hold(self._held)
        stream.begin(sink)
        while not self._bot_left.is_set():
            self._woken.clear()
            while self._keys:
                await sink.digit(self._keys.popleft())
            await self._woken.wait()
        if self._person is not None and not self._stopped.is_set():
            await self._put_bot_away()
            call.state = State.TRANSFERRING
            around.admission.log.state(call)
            await self._stopped.wait()

    def _take_late(self, answer: bytes) -> None:
        """The same in the middle of the call."""
        try:
            self._agreed.take(answer)
        except (sdp.BadSdp, sdp.NotAcceptable):
            self.stop("bad_media")
        self._watch_hold()

    def _watch_hold(self) -> None:
        """Whether what was agreed on holds the call, or lets it go on."""
        held = self._agreement is not None and self._agreement.held
        if held is not self._held:
            self._held = held
            self._note("hold" if held else "resume")
            self._hold(held)

    def _hold(self, held: bool) -> None:
        if self._sink is not None and self._wire is not None:
            self._sink.hold(held)
            self._wire.held = held

    def _may_talk_with(self, address: str) -> bool:
        return self.trunk.may_talk_with(address, self._leg.invite.source[0])

    def _fail(self, reason: str, cause: Cause) -> None:
        self._reason = self._reason or reason
        self._leg.hang_up(cause)

    def _note(self, name: str, **fields: Any) -> None:
        """An event of the call's record."""
        if self.call is not None:
            admission, began = self._around.admission, self._began
            offset_s = None if began is None else round(time.monotonic() - began, 3)
            event = WireEvent(admission.wall_clock(), offset_s, name, fields)
            admission.log.event(self.call, event)

    # its end

    async def _end(self) -> None:
        """Hang up and put the call away, in bounded time."""
        self._leg.hang_up(told(self._reason))
        call = self.call
        if call is None:
            return
        if self._stream is not None:
            self._note("rtp_stats", **asdict(self._stream.stats()))
        admission = self._around.admission
        try:
            if self._person is not None:
                seconds = round(time.monotonic() - self._joined_at, 1)
                self._note("bridge_ended", seconds=seconds)
                await self._person.close()
            await self._put_bot_away()
        finally:
            if self._stream is not None:
                await self._stream.close()
            self._wire = self._stream = self._agreement = None  # which know us
            admission.release(call)
            admission.end(call, self._reason)
        reason = call.termination.reason if call.termination else self._reason
        log.info("call_ended", reason=reason)

    async def _put_bot_away(self) -> None:
        """The conversation is over."""
        sink, self._sink = self._sink, None
        try:
            if sink is not None:
                async with asyncio.timeout(END_WITHIN_S):
                    await sink.ended(self._reason)
        except Exception:  # the boundary of the call's task
            log.exception("call_not_put_away", call_id=self.call.id if self.call else "")
