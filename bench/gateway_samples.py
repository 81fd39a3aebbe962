"""What is sent through a gateway and what comes back: one clip of 5 s, one text of 200 characters.

The speech that comes back begins with the moment at which the upstream sent it (`stamped`): in the
first eight bytes of PCM, in an ID3 tag before MP3. A gateway that passes the bytes on passes that
on, and whoever reads it knows how long they were on the way (all processes share one clock).
"""

from __future__ import annotations

import struct
import time
from dataclasses import dataclass
from functools import cache

import numpy as np

from telebot.audio import files, wav

CLIP_S, CLIP_HZ = 5.0, 16_000
SPEECH_S, SPEECH_HZ = 13.0, 24_000  # 200 characters at the pace of a person
TRANSCRIPT = "Good evening, I would like to book a table for two on Friday at seven, please."
TEXT = (
    "Good evening, this is Harbour Street Kitchen. Your table for three on Friday at seven is "
    "booked. We look forward to seeing you; the car park is behind the building; the kitchen "
    "closes at ten at night."
)
VOICE = "alloy"
HEARS, SPEAKS = "whisper-1", "tts-1"  # both gateways know what they cost
PIECES = 16  # in which the upstream sends speech
STAMP = struct.Struct("<q")
# ID3v2.4: a tag of one frame with a text (https://id3.org/id3v2.4.0-structure)
_TAG = b"ID3\x04\x00\x00\x00\x00\x00\x1e" + b"TXXX\x00\x00\x00\x14\x00\x00\x03\x00"
TAG_BYTES = len(_TAG) + 18


@dataclass(frozen=True, slots=True)
class Speech:
    """The upstream's answer in one format, without the stamp before it."""

    kind: str
    media_type: str
    data: bytes


def _voiced(seconds: float, rate_hz: int) -> bytes:
    """Something with the pitch, the pauses and the loudness of speech, the same every time."""
    at = np.arange(round(seconds * rate_hz)) / rate_hz
    pitch = 120 + 20 * np.sin(2 * np.pi * 0.7 * at)
    phase = 2 * np.pi * np.cumsum(pitch) / rate_hz
    voice = sum(np.sin(phase * n) / n for n in range(1, 12))
    syllables = np.clip(np.sin(2 * np.pi * 3.1 * at) + 0.6, 0, 1)
    samples: bytes = (voice * syllables * 6000).astype("<i2").tobytes()
    return samples


@cache
def clip() -> bytes:
    """The recording: a WAV file of 16-bit mono."""
    return wav.written(_voiced(CLIP_S, CLIP_HZ), CLIP_HZ)


@cache
def speech(kind: str) -> Speech:
    """The speech in `kind`, ``pcm`` or ``mp3``."""
    encoder = files.Encoder(kind, SPEECH_HZ)
    data = encoder.feed(_voiced(SPEECH_S, SPEECH_HZ)) + encoder.finish()
    if kind == "mp3" and data.startswith(b"ID3"):
        size = data[6] << 21 | data[7] << 14 | data[8] << 7 | data[9]
        data = data[10 + size :]  # one tag is enough
    return Speech(kind, "audio/mpeg" if kind == "mp3" else "audio/pcm", data)


def stamped(kind: str) -> bytes:
    """This moment, as the first bytes of speech in `kind`."""
    now_ns = time.monotonic_ns()
    return _TAG + b"%018d" % now_ns if kind == "mp3" else STAMP.pack(now_ns)


def stamp_of(kind: str, first: bytes) -> int | None:
    """The moment (monotonic, ns) in the first bytes of speech; None where there is none: the bytes
    were not passed on as they were."""
    if kind == "mp3":
        told = first[len(_TAG) : TAG_BYTES]
        return int(told) if first.startswith(_TAG) and told.isdigit() else None
    now_ns = time.monotonic_ns()
    then_ns = int(STAMP.unpack_from(first)[0]) if len(first) >= STAMP.size else 0
    return then_ns if now_ns - 60_000_000_000 < then_ns <= now_ns else None


def stamp_bytes(kind: str) -> int:
    """How many bytes of an answer are the stamp."""
    return TAG_BYTES if kind == "mp3" else STAMP.size
