"""One call's media over RTP (RFC 3550, 3551): caller audio to the `MediaSink`, bot audio out.

Packets come in through `arrived` (the hot path), which tells ours from others' (`source.py`), and
go to `caller.py`; what comes out of it goes to the sink by way of `feeding.py`. The process'
beat (`beats.py`) sends what `rtp_out.py` holds. A call has no timer of its own.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack

from telebot.audio import g711
from telebot.audio.line import PHONE
from telebot.call.events import MediaSink
from telebot.sip.caller import MARK, Caller
from telebot.sip.feeding import Feeding
from telebot.sip.packets import HEADER, LEAST, MOST, PLAIN, RTCP_FIRST, RTCP_LAST, payload
from telebot.sip.ports import Ports
from telebot.sip.rtcp import Reports
from telebot.sip.rtp_out import RtpOut
from telebot.sip.sdp import Local, Negotiated
from telebot.sip.source import Address, Source
from telebot.sip.stats import RtpStats, gather

SILENT_S, LONGEST_WAIT_S = 20.0, 0.2
UNKNOWN_S = 3.0  # a peer behind NAT has to send first; until then what the bot says waits
WATCH_BEATS = 10  # a look at every call each 100 ms


def _nothing() -> None:
    pass


class _Port(asyncio.DatagramProtocol):
    """One UDP port of a call."""

    def __init__(self, arrived: Callable[[bytes, Address], None]) -> None:
        self.datagram_received = arrived  # type: ignore[method-assign,assignment]
        self.closed = asyncio.Event()

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed.set()

    def error_received(self, exc: Exception) -> None:
        """The peer's port is not open (ICMP): its silence tells, if it stays so."""


class RtpStream:
    """A `MediaWire` with ports of its own. Call `use`, then `begin`; `close` gives all back.

    `on_silent` is called once when nothing has come for `silent_s` from a peer that is not held,
    `on_failed` when the sink raised. Neither closes anything."""

    lead_ms = 160  # audio for two packets of 60 ms; what is not sent yet can be cleared
    echoes_marks = True
    line = PHONE

    @classmethod
    async def open(
        cls,
        host: str,
        ports: Ports,
        allowed: Callable[[str], bool],
        *,
        advertised: str = "",
        silent_s: float = SILENT_S,
        keepalive_s: float = 0.0,
        longest_wait_s: float = LONGEST_WAIT_S,
    ) -> RtpStream:
        """Bind a pair of ports on `host`. `advertised` is the address that peers are to send to,
        where it is another; `keepalive_s` as in `RtpOut`, `longest_wait_s` as in `RtpIn`.
        Raises `Busy`, `OSError`."""
        pair = ports.take(host)
        loop = asyncio.get_running_loop()
        local = Local(advertised or host, pair[0].getsockname()[1], secrets.randbits(62))
        stream = cls(local, ports, allowed)
        stream._silent_s = silent_s
        stream._out.keepalive_s = keepalive_s
        stream._caller.incoming.longest_wait_s = longest_wait_s
        rtp, rtcp = _Port(stream.arrived), _Port(stream.report_arrived)
        async with AsyncExitStack() as undo:
            for one in pair:
                undo.callback(one.close)
            undo.push_async_callback(stream.close)
            stream._rtp, _ = await loop.create_datagram_endpoint(lambda: rtp, sock=pair[0])
            stream._open.append(rtp)
            stream._rtcp, _ = await loop.create_datagram_endpoint(lambda: rtcp, sock=pair[1])
            stream._open.append(rtcp)
            undo.pop_all()
        return stream

    def __init__(self, local: Local, ports: Ports, allowed: Callable[[str], bool]) -> None:
        self.local = local
        self.on_silent: Callable[[], None] = _nothing
        self.on_failed: Callable[[], None] = _nothing
        self._ports = ports
        self._beats = ports.beats
        self._source = Source(allowed)
        self._silent_s = SILENT_S
        self._rtp: asyncio.DatagramTransport | None = None
        self._rtcp: asyncio.DatagramTransport | None = None
        self._open: list[_Port] = []
        self._clock = time.monotonic
        self._junk: Counter[str] = Counter()
        self._feeding = Feeding(self._junk, self._failed)
        self._caller = Caller(self._feeding.put, ports.beats, self._clock)
        self._out = RtpOut(secrets.randbits(32), secrets.randbits(16), secrets.randbits(32))
        self._negotiated: Negotiated | None = None
        self._reports = Reports(self._out.ssrc, f"{local.session_id:x}@telebot", time.time)
        self._report_at = 0.0
        self._used_at = self._alive_at = 0.0
        self._said_silent = False
        self._closed = False

    # --- what signalling says ------------------------------------------------------------------

    def use(self, negotiated: Negotiated) -> None:
        """The first description that both agreed on, and every later one."""
        if self._closed:
            return
        first = self._negotiated is None
        self._negotiated = negotiated
        self._source.use(negotiated)
        self._caller.use(negotiated)
        beats = max(1, round(negotiated.ptime_ms / 10))
        alaw = g711.ULAW_TO_ALAW if negotiated.codec.name == "PCMA" else None
        self._out.use(negotiated.codec.payload_type, alaw, beats * 10, negotiated.events)
        self._used_at = self._alive_at = self._clock()
        self._said_silent = False
        self._beats.join(beats, self._beat)
        if first:
            self._report_at = self._clock() + self._reports.interval_s(first=True)
            self._beats.join(WATCH_BEATS, self._watch)

    def begin(self, sink: MediaSink) -> None:
        """From now on what the caller says and keys goes to `sink`, the last two seconds first.
        Another sink takes the place of the one before."""
        self._feeding.begin(sink)

    def stats(self) -> RtpStats:
        """What was counted so far; good after `close` too."""
        ptime_ms = self._negotiated.ptime_ms if self._negotiated else 0
        return gather(self._caller.incoming, self._out, self._reports, ptime_ms, self._junk)

    async def close(self) -> None:
        """Give the ports back; nothing goes to the sink any more. Idempotent."""
        if self._closed:
            return
        self._closed = True
        self._feeding.stop()
        self._beats.leave(self._beat)
        self._beats.leave(self._watch)
        self._caller.close()
        self._send_report(self._reports.goodbye())
        try:
            for transport in (self._rtp, self._rtcp):
                if transport is not None:
                    transport.close()
            await self._feeding.close()
            for port in self._open:
                await port.closed.wait()
        finally:
            self._ports.give_back(self.local.port)
            self._ports.totals.add(self.stats())
            self._let_go()

    def _let_go(self) -> None:
        """Know nobody any more, so that what a call was goes at once, not with the next cycles."""
        self._rtp = self._rtcp = None
        self._feeding.let_go()
        self.on_silent = self.on_failed = _nothing
        self._open.clear()

    def _failed(self) -> None:
        self.on_failed()

    # --- the bot's side ------------------------------------------------------------------------

    @property
    def waiting_ms(self) -> int:
        """Audio that is not sent yet."""
        return self._out.waiting // g711.BYTES_PER_MS

    def send_audio(self, ulaw: bytes) -> None:
        """Audio to be sent after what was given before, by the beat."""
        if not self._closed:
            self._out.audio(ulaw)

    def send_mark(self, name: str) -> None:
        """`sink.played(name)` follows when all audio given so far was sent and had its time."""
        self._out.mark(name)

    def send_clear(self) -> None:
        """Forget what was not sent yet."""
        self._out.clear()

    def send_digits(self, digits: str) -> None:
        """Press keys (``w``: half a second's pause), as events, or as tones where the peer takes
        none; what the bot says waits. Raises ValueError for what is no key."""
        self._out.press(digits)

    def _beat(self, number: int, now: float) -> None:
        out, negotiated = self._out, self._negotiated
        out.passed(self._played)
        if negotiated is None or not negotiated.direction.sends:
            out.skip()
        elif self._source.target is not None:
            out.beat(number, now, self._send)
        elif self._clock() - self._used_at > UNKNOWN_S:
            out.skip()  # else the greeting waits until we know where to

    def _send(self, packet: bytes) -> None:
        if self._rtp is not None:
            self._rtp.sendto(packet, self._source.target)

    def _played(self, name: str) -> None:
        self._feeding.put(name, MARK)

    # --- the caller's side ---------------------------------------------------------------------

    def arrived(self, data: bytes, address: Address) -> None:
        """A datagram on the port of RTP. The hot path: fifty a second for every call."""
        if not LEAST < len(data) <= MOST:
            self._junk["size"] += 1
            return
        first, second, seq, ts, ssrc = HEADER.unpack_from(data)
        if RTCP_FIRST <= second <= RTCP_LAST:
            self.report_arrived(data, address)
            return
        caller = self._caller
        body = data[LEAST:] if first == PLAIN else payload(data)
        if not body:
            self._junk["no_rtp"] += 1
        elif not caller.knows(second & 0x7F):
            self._junk["payload_type"] += 1
        elif address != self._source.latched and not self._source.believes(address, ssrc, seq):
            self._junk["source"] += 1
        else:
            self._alive_at = self._clock()
            if ssrc != caller.ssrc:
                caller.new_source(ssrc)
            caller.packet(second, seq, ts, body)

    def report_arrived(self, data: bytes, address: Address) -> None:
        """A datagram on the port of RTCP, or RTCP on the other one."""
        if not self._source.reports(address):
            self._junk["report_source"] += 1
        elif len(data) > MOST or not self._reports.arrived(data):
            self._junk["no_rtcp"] += 1
        else:
            self._alive_at = self._clock()

    def _watch(self, number: int, now: float) -> None:
        """Ten times a second: is a report due, is the line quiet, is the peer dead?"""
        negotiated = self._negotiated
        if negotiated is None:
            return
        now = self._clock()
        if now >= self._report_at:
            self._report_at = now + self._reports.interval_s()
            incoming, ts = self._caller.incoming, self._out.timestamp(number)
            self._send_report(self._reports.report(incoming, self._out, self._caller.ssrc, ts))
        self._caller.watch(now)
        if now - self._alive_at > self._silent_s and not negotiated.held and not self._said_silent:
            self._said_silent = True
            self.on_silent()

    def _send_report(self, report: bytes) -> None:
        target, negotiated = self._source.rtcp_target, self._negotiated
        port = self._rtp if negotiated is not None and negotiated.mux else self._rtcp
        if port is not None and target is not None:
            port.sendto(report, target)
