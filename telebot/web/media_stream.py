"""One media socket from its upgrade to the end of everything: the task of one call.

Each message goes through the carrier's codec to the conversation (`speech/`), which answers through
`media_wire.py`. However the stream ends, the call ends once, with a reason, the socket by
`farewell.py`, and no close code is ever 1011.
"""

from __future__ import annotations

import asyncio
from collections import Counter as Tally
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import structlog
from aiohttp import WebSocketError, WSMessage, WSMsgType

from telebot.call.admission import Admission
from telebot.call.errors import BadRequest, BadToken, BadWire, NotAuthentic, Refused
from telebot.call.events import (
    Asked,
    Conversations,
    Digit,
    Ignored,
    Media,
    MediaEvent,
    MediaSink,
    Played,
    Reply,
    SessionSink,
    Started,
    Stopped,
    Wideband,
)
from telebot.call.model import Call, WireEvent
from telebot.carriers.port import OffersOnMedia, StreamsMedia, Webhook
from telebot.settings import MediaSettings
from telebot.web.farewell import GONE, Farewell
from telebot.web.hangups import HangUps
from telebot.web.media_wire import MessageSocket, SocketWire
from telebot.web.metrics import Metrics
from telebot.web.recent import RecentCalls

# RFC 6455 section 7.4.1
NORMAL, GOING_AWAY, POLICY_VIOLATION = 1000, 1001, 1008
END_WITHIN_S = 20.0  # for the conversation to put everything away
APOLOGY_S = 15.0  # after a fault the carrier has this long to say our apology

THEIRS = GONE | {"transferred"}  # the carrier's leg is over, or somebody else's now
OURS = frozenset(
    {
        "bot_hangup",
        "silence",
        "max_duration",
        "budget",
        "drained",
        "operator_hangup",
        "message_taken",
    }
)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every stream works with."""

    admission: Admission
    conversations: Conversations
    settings: MediaSettings
    recent: RecentCalls
    hang_ups: HangUps
    metrics: Metrics


class MediaStream:
    """One media socket, and the call on it once its `start` was good. `request` is the one that
    opened the socket. Raises `NotAuthentic` where that was enough to refuse it."""

    def __init__(
        self,
        around: Surroundings,
        carrier: StreamsMedia,
        request: Webhook,
        socket: MessageSocket,
        transport: asyncio.Transport,
        *,
        started: Callable[[MediaStream, Call], None],
    ) -> None:
        self._around = around
        self._started = started
        self._carrier = carrier
        self._socket = socket
        self._transport = transport
        self._request = request
        self._codec = codec = carrier.codec(request)
        self._decoders = {
            WSMsgType.TEXT: codec.decode,
            WSMsgType.BINARY: codec.decode_binary,
        }
        self._wire = wire = SocketWire(socket, transport, codec, self._hang_up, self._cut)
        self._farewell = Farewell(socket, transport, codec, wire, self._decoders)
        self.call: Call | None = None
        self._sink: MediaSink | None = None
        self._reason = ""  # the first one stands
        self._task: asyncio.Task[object] | None = None
        self._messages = self._frames = 0
        self._junk: Tally[str] = Tally()

    async def run(self) -> None:
        """Serve the socket to its end."""
        self._task = asyncio.current_task()
        loop = asyncio.get_running_loop()
        self._watch = loop.call_later(self._around.settings.start_timeout_s, self._no_start)
        code = NORMAL
        try:
            await self._receive()
        except BadWire as bad:
            self._reason = self._reason or "bad_wire"
            code = bad.close_code
            self._count_junk("bad_wire")
        except (BadToken, NotAuthentic, BadRequest) as bad:
            code = POLICY_VIOLATION
            self._reason = "not_authentic"
            log.warning("stream_refused", carrier=self._carrier.name, why=str(bad))
        except Refused as refused:
            self._reason = refused.reason
            log.info("call_refused", carrier=self._carrier.name, reason=refused.reason)
        except ConnectionError:  # gone while it was being answered (a ping's pong)
            self._reason = self._reason or "stream_lost"
        except asyncio.CancelledError:  # nobody would wait any longer
            self._reason = self._reason or "drained"
            code = GOING_AWAY
            raise
        except Exception:  # the boundary of the call's task
            self._reason = self._reason or "server_error"
            code = GOING_AWAY
            log.exception("call_failed", call_id=self.call.id if self.call else "")
        finally:
            self._task = None
            self._watch.cancel()
            self._farewell.left.set()
            self._farewell.say(self._reason)
            await self._end(code)
            self._sink = None  # the conversation knows the wire, and the wire knows us

    async def _receive(self) -> None:
        """Each message, until there are no more. The hot path."""
        receive, decoders = self._socket.receive, self._decoders
        while True:
            message = await receive()
            if self._reason:
                if not await self._farewell.answer(message, self._reason):
                    return
                continue
            decode = decoders.get(message.type)
            if decode is None:
                self._reason = self._lost(message)
                return
            self._messages += 1
            event = decode(cast(bytes, message.data))
            if type(event) is Media and self._sink is not None:
                self._frames += 1
                await self._sink.audio(event.audio, event.timestamp_ms)
            elif not await self._handle(event):
                return

    async def _handle(self, event: MediaEvent) -> bool:
        """Anything but caller audio. False where the stream is over."""
        log.debug("<", message=type(event).__name__)
        match event:
            case Ignored(why):
                self._meaningless(why)
            case Reply(message):
                self._wire.send((message,))
            case Started():
                await self._start(event)
            case Stopped():
                self._reason = self._reason or "caller_hangup"
                return False
            case Digit(digit) if self._sink is not None:
                await self._sink.digit(digit)
            case Played(name) if self._sink is not None:
                await self._sink.played(name)
            case Wideband(pcm16) if isinstance(self._sink, SessionSink):
                await self._sink.wideband(pcm16)
            case Asked(order) if isinstance(self._sink, SessionSink):
                self._sink.asked(order)
        return True

    async def _start(self, started: Started) -> None:
        """Raises `BadToken`, `NotAuthentic`, `BadRequest`, `Refused`, and whatever the conversation
        raises."""
        name = self._carrier.name
        self.call = call = self._admitted(started)
        self._started(self, call)
        self._watch.cancel()
        self._watch_idle(self._messages)
        structlog.contextvars.bind_contextvars(call_id=call.id)
        log.info("call_started", carrier=name, agent=call.agent)
        self._wire.send(self._codec.accepted())
        self._sink = await self._around.conversations.start(call, self._wire)

    def _admitted(self, started: Started) -> Call:
        """The call that the stream's token names, or that the stream itself offers."""
        carrier, admission = self._carrier, self._around.admission
        token, call_id = started.parameters.get("token", ""), started.carrier_call_id
        if not token and isinstance(carrier, OffersOnMedia):
            offer = carrier.offer(self._request, started)
            call, token = admission.admit(offer)
            self._around.recent.add(call)
            call_id = offer.carrier_call_id
        return admission.connect(token, carrier.name, call_id)

    def send_digits(self, digits: str) -> None:
        """Key digits towards the caller. Raises `Unable`."""
        self._wire.send(self._codec.digits(digits))

    def stop(self, reason: str, code: int) -> None:
        """Close the socket from our side; the task then ends the call for `reason`."""
        if not self._reason:
            self._reason = reason
        self._farewell.say(self._reason)
        self._farewell.close(self._reason, code)
        if self._task is not None:  # should the conversation hang, this frees it
            self._watch.cancel()
            self._watch = self._task.get_loop().call_later(END_WITHIN_S, self._task.cancel)

    def _hang_up(self) -> None:
        if self.call is not None:
            self._around.recent.hung_up(self.call)
        self.stop("bot_hangup", NORMAL)

    def _cut(self) -> None:
        """The peer does not read: there is no way to close politely."""
        self._reason = self._reason or "stalled_peer"
        self._transport.abort()

    def _no_start(self) -> None:
        self.stop("no_start", POLICY_VIOLATION)

    def _watch_idle(self, messages_then: int) -> None:
        """One look each timeout instead of a timer for each frame: lost after 1 to 2 timeouts."""
        later = asyncio.get_running_loop().call_later
        self._watch = later(self._around.settings.idle_timeout_s, self._idle, messages_then)

    def _idle(self, messages_then: int) -> None:
        if self._messages == messages_then:
            self.stop("stream_lost", GOING_AWAY)
        else:
            self._watch_idle(self._messages)

    def _lost(self, last: WSMessage) -> str:
        """Why a socket ended without `Stopped`: by a broken frame (oversize too), by a close where
        that says it, or it is just lost."""
        if isinstance(last.data, WebSocketError):
            return "bad_wire"
        closed = last.type is WSMsgType.CLOSE and self._codec.close_ends
        return "caller_hangup" if closed else "stream_lost"

    def _meaningless(self, why: str) -> None:
        """Count and drop. Raises `BadWire` when there is too much of it."""
        self._count_junk(why)
        if self._junk.total() > self._around.settings.max_junk:
            raise BadWire("too many meaningless messages", POLICY_VIOLATION)

    def _count_junk(self, why: str) -> None:
        self._junk[why] += 1
        self._around.metrics.junk.labels(self._carrier.name, why).inc()

    async def _end(self, code: int) -> None:
        """Close the socket and put the call away, both at once and both in bounded time."""
        closing = self._farewell.close(self._reason, code)
        await asyncio.gather(closing, self._end_call(), return_exceptions=True)
        metrics = self._around.metrics
        metrics.sockets.labels(self._carrier.name, self._socket.close_code or 1006).inc()
        metrics.frames.inc(self._frames)

    async def _end_call(self) -> None:
        call = self.call
        if call is None:
            return
        fields = {"frames": self._frames, "junk": dict(self._junk)}
        admission = self._around.admission
        admission.log.event(call, WireEvent(admission.wall_clock(), None, "stream_over", fields))
        try:
            if self._sink is not None:
                async with asyncio.timeout(END_WITHIN_S):
                    await self._sink.ended(self._reason)
        except Exception:  # the boundary of the call's task
            log.exception("call_not_put_away", call_id=call.id)
        finally:
            admission.end(call, self._reason)
        reason = call.termination.reason if call.termination else self._reason
        if reason not in THEIRS:
            after_s = 0.0 if reason in OURS else APOLOGY_S
            self._around.hang_ups.begin(self._carrier, call, after_s)
        log.info("call_ended", reason=reason, frames=self._frames, junk=self._junk.total())
