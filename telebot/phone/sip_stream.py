"""A telephone's media over SIP: G.711 in RTP packets (RFC 3550, 3551), keys as events (RFC 4733).

Messages are whole packets. A telephone holds back what comes for 60 ms, puts packets into order
and leaves silence where one is missing. The wire has no marks and takes nothing back: where the
bot falls silent for long, that is noted as its clear. Signalling is `sip_dialog.py`'s.
"""

from __future__ import annotations

import secrets
import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace

from telebot.audio import g711, levels
from telebot.phone.microphone import FRAME, Microphone
from telebot.phone.playout import AUDIBLE_RMS
from telebot.phone.stream import CarrierStream, Message

HEADER = struct.Struct("!BBHII")
TYPES = {"PCMU": 0, "PCMA": 8}  # RFC 3551
EVENTS = 101
KEYS = "0123456789*#ABCD"
HELD_BACK = 480  # samples: 60 ms
FELL_SILENT = 5600  # samples: a bot pauses for less inside what it says
KEY_PACKETS = 5  # 100 ms of key, and the last one thrice
LONGEST_GAP = 4000  # samples: after a longer one the timestamps begin anew


@dataclass(frozen=True, slots=True)
class Packet:
    """What the phone needs of one."""

    payload_type: int
    timestamp: int
    ssrc: int
    payload: bytes


def read(data: bytes) -> Packet | None:
    """An RTP packet of version 2 without padding; None for what is none."""
    if len(data) < HEADER.size:
        return None
    first, second, _, timestamp, ssrc = HEADER.unpack_from(data)
    at = HEADER.size + 4 * (first & 0x0F)
    if first >> 6 != 2 or first & 0x30 or len(data) <= at:
        return None
    return Packet(second & 0x7F, timestamp, ssrc, data[at:])


class SipStream(CarrierStream):
    """The RTP both ways of one call, in mu-law or A-law."""

    def __init__(
        self, microphone: Microphone, codec: str = "PCMU", *, keep_audio: bool = True
    ) -> None:
        super().__init__(microphone, keep_audio=keep_audio)
        self._type = TYPES[codec]
        self._alaw = codec == "PCMA"
        self._sequence = secrets.randbelow(1 << 15)
        self._first = secrets.randbelow(1 << 31)
        self._ssrc = secrets.randbits(32)
        self._heard_ssrc: int | None = None
        self._offset: int | None = None  # from their timestamps to our positions
        self._waiting: dict[int, bytes] = {}  # by the position at which it is to be played
        self._played_to = 0  # position up to which packets were handed to the play-out
        self._last_heard = 0  # the bot's voice; 0 where its silence was noted
        self._key_at: int | None = None

    # the caller's side

    def opening(self) -> Sequence[Message]:
        return ()

    def media(self, ulaw: bytes) -> Message:
        payload = ulaw.translate(g711.ULAW_TO_ALAW) if self._alaw else ulaw
        return self._packet(self._type, self._now(), payload, marker=self.frames_sent == 0)

    def keys(self, digit: str) -> Sequence[Message]:
        lengths = [FRAME * number for number in range(1, KEY_PACKETS + 1)]
        lengths += [lengths[-1]] * 2
        began = self._now()
        return [
            self._packet(
                EVENTS,
                began,
                struct.pack(
                    "!BBH", KEYS.index(digit), 0x8A if length == lengths[-1] else 0x0A, length
                ),
                marker=number == 0,
            )
            for number, length in enumerate(lengths)
        ]

    # the bot's side

    def obey(self, message: Message) -> Sequence[Message]:
        packet = read(message) if isinstance(message, bytes) else None
        if packet is None:
            self.fault("no RTP packet")
        elif packet.payload_type == EVENTS:
            self._key(packet)
        elif packet.payload_type != self._type:
            self.fault(f"payload type {packet.payload_type}")
        elif self._alaw:
            self._arrived(replace(packet, payload=packet.payload.translate(g711.ALAW_TO_ULAW)))
        else:
            self._arrived(packet)
        return ()

    def advance(self, now_s: float) -> list[Message]:
        """Everything that was due, what arrived in time for it put in its place first."""
        target = int((now_s - self._began()) * g711.RATE_HZ + 0.5)
        self._hand_over(target)
        return super().advance(now_s)

    def _arrived(self, packet: Packet) -> None:
        at = self._place(packet)
        if at < self._played_to:
            self.note("late", amount=len(packet.payload))
            return
        if levels.ulaw_rms(packet.payload) > AUDIBLE_RMS:  # else a gap is as good
            self._waiting[at] = packet.payload

    def _place(self, packet: Packet) -> int:
        """The position at which a packet is played: the first of a stream is held back."""
        if self._offset is not None and packet.ssrc == self._heard_ssrc:
            at = (packet.timestamp + self._offset) & 0xFFFFFFFF
            if abs(at - self.position) < LONGEST_GAP:
                return at
        self._heard_ssrc = packet.ssrc
        at = max(self.position + HELD_BACK, self._played_to)
        self._offset = at - packet.timestamp
        return at

    def _hand_over(self, target: int) -> None:
        """Give the play-out what it plays up to `target`, with silence for what is missing."""
        while self._waiting and (at := min(self._waiting)) < target:
            here = self.position + self.playout.buffered
            if at > here:
                self.playout.append(g711.SILENCE * (at - here))
            payload = self._waiting.pop(at)
            self._played_to = self._last_heard = at + len(payload)
            self.play(payload)
        if self._last_heard and target - self._last_heard > FELL_SILENT:
            self._last_heard = 0
            self.note("clear")

    def _key(self, packet: Packet) -> None:
        """The first packet of an event counts."""
        code = packet.payload[0]
        if packet.timestamp != self._key_at and code < len(KEYS):
            self._key_at = packet.timestamp
            self.note("dtmf", KEYS[code])

    def _now(self) -> int:
        return (self._first + self.frames_sent * FRAME) & 0xFFFFFFFF

    def _packet(self, kind: int, timestamp: int, payload: bytes, *, marker: bool) -> bytes:
        self._sequence = (self._sequence + 1) & 0xFFFF
        second = kind | (0x80 if marker else 0)
        return HEADER.pack(0x80, second, self._sequence, timestamp, self._ssrc) + payload
