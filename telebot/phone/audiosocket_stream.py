"""Asterisk's side of AudioSocket, as `res/res_audiosocket.c` does it: it plays what comes at once,
and closes on anything but audio and the end. Dialled by `audiosocket_exchange.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from telebot.audio import g711
from telebot.phone.microphone import Microphone
from telebot.phone.paced_stream import PacedStream
from telebot.phone.stream import Message

END, IDENTITY, KEY, AUDIO = 0x00, 0x01, 0x03, 0x10


class AudioSocketStream(PacedStream):
    """One connection at 8 kHz."""

    def __init__(self, identity: UUID, microphone: Microphone, *, keep_audio: bool = True) -> None:
        super().__init__(microphone, keep_audio=keep_audio)
        self._identity = identity

    def opening(self) -> Sequence[Message]:
        return [packet(IDENTITY, self._identity.bytes)]

    def media(self, ulaw: bytes) -> Message:
        return packet(AUDIO, g711.decode(ulaw))

    def keys(self, digit: str) -> Sequence[Message]:
        return [packet(KEY, digit.encode("ascii"))]

    def ending(self) -> Sequence[Message]:
        return [packet(END)]

    def obey(self, message: Message) -> Sequence[Message]:
        kind, payload = (message[0], message[3:]) if isinstance(message, bytes) else (-1, b"")
        if kind == END:
            self.hung_up = True
        elif kind == AUDIO and payload and len(payload) % 2 == 0:
            self.play_now(g711.encode(payload))
        else:
            self.fault(f"type {kind} with {len(payload)} bytes")
            self.hung_up = True
        return []


def packet(kind: int, payload: bytes = b"") -> bytes:
    """Type, length and payload."""
    return bytes((kind,)) + len(payload).to_bytes(2) + payload
