"""The wire of AudioSocket: typed packets over TCP, linear audio at 8 to 48 kHz.

https://docs.asterisk.org/Configuration/Channel-Drivers/AudioSocket/ and `res/res_audiosocket.c`:
one byte of type, two of length (big endian), the payload. Asterisk plays what it gets as it gets
it, so it is sent in time, and there is nothing to take back. A server may send audio and the end,
nothing else: Asterisk closes on a key or a type that it does not know. Next: `web/media_stream.py`,
by `web/audiosocket.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from uuid import UUID

from telebot.audio.wideband import Narrow, Widen
from telebot.call.errors import BadWire
from telebot.call.events import Digit, Ignored, Media, MediaEvent, Started, Stopped
from telebot.carriers.codec import PacedCodec, Stamps

HEADER = 3
END, IDENTITY, KEY, AUDIO, FAULT = 0x00, 0x01, 0x03, 0x10, 0xFF
RATES_HZ = {
    AUDIO: 8000,
    0x11: 12_000,
    0x12: 16_000,
    0x13: 24_000,
    0x14: 32_000,
    0x15: 44_100,
    0x16: 48_000,
}
CALLER_HUNG_UP = 0x01  # of the fault's codes
FRAME = 160  # samples of 8 kHz
POLICY_VIOLATION = 1008  # RFC 6455 section 7.4.1

_DIGITS = frozenset("0123456789*#ABCD")

Known = Callable[[UUID], tuple[str, str]]


class AudioSocketCodec(PacedCodec):
    """One connection. `known` gives the call's id and its token for an identity; where nobody has
    asked for one before, the identity itself is the call's id."""

    binary = True
    close_ends = True

    def __init__(self, known: Known) -> None:
        self._known = known
        self._started = False
        self._kind = AUDIO  # what is heard is what is spoken
        self._narrow, self._widen = Narrow(8000), Widen(8000)
        self._stamps = Stamps()
        self._others: dict[int, Callable[[bytes], MediaEvent]] = {
            END: lambda _: Stopped(),
            IDENTITY: self._start,
            KEY: self._key,
            FAULT: _fault,
        }

    def decode_binary(self, message: bytes) -> MediaEvent:
        """One packet, header and payload. Raises `BadWire` on an identity that is none, and where
        Asterisk reports a fault."""
        if len(message) < HEADER or len(message) - HEADER != int.from_bytes(message[1:HEADER]):
            return Ignored("bad_packet")
        kind, payload = message[0], message[HEADER:]
        if kind in RATES_HZ:
            return self._audio(kind, payload)
        other = self._others.get(kind)
        return other(payload) if other else Ignored("unknown_type")

    def _key(self, payload: bytes) -> MediaEvent:
        if not self._started:
            return Ignored("before_start")
        digit = payload.decode("ascii", "replace").upper()
        return Digit(digit) if digit in _DIGITS and digit else Ignored("bad_digit")

    def _audio(self, kind: int, payload: bytes) -> MediaEvent:
        if not self._started:
            return Ignored("before_start")
        if not payload:
            return Ignored("bad_payload_size")
        if kind != self._kind:
            self._kind = kind
            self._narrow, self._widen = Narrow(RATES_HZ[kind]), Widen(RATES_HZ[kind])
        ulaw = self._narrow.feed(payload)
        return Media(ulaw, self._stamps.next(len(ulaw))) if ulaw else Ignored("bad_payload_size")

    def _start(self, payload: bytes) -> MediaEvent:
        if self._started:
            return Ignored("second_start")
        if len(payload) != 16:
            raise BadWire("an identity of other than 16 bytes", POLICY_VIOLATION)
        identity = UUID(bytes=payload)
        call_id, token = self._known(identity)
        self._started = True
        return Started(str(identity), call_id, {"token": token} if token else {})

    def audio(self, ulaw: bytes) -> bytes:
        """One packet; the end of an utterance is filled up to 20 ms, which Asterisk's own frames
        are."""
        odd = len(ulaw) % FRAME
        pcm16 = self._widen.feed(ulaw + b"\xff" * (FRAME - odd) if odd else ulaw)
        return bytes((self._kind,)) + len(pcm16).to_bytes(2) + pcm16

    def goodbye(self, reason: str) -> Sequence[bytes]:
        """The end: the dialplan goes on."""
        return (b"\0\0\0",)


def _fault(payload: bytes) -> MediaEvent:
    if payload[:1] == bytes((CALLER_HUNG_UP,)):
        return Stopped()
    raise BadWire(f"the peer reports fault {payload[:8].hex() or 'without a code'}")
