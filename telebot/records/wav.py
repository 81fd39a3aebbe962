"""The WAV file of a recording: 16-bit stereo PCM at 8 kHz, of a wide line at 16, behind a 44-byte
header.

The header is written again after every piece of audio, so a file is readable whenever the process
stops (RIFF WAVE, "Multimedia Programming Interface and Data Specifications 1.0", 1991).
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

from telebot.audio.g711 import RATE_HZ
from telebot.audio.line import PHONE, WIDE

HEADER_BYTES = 44
RATE_AT = 24  # in the header
RATES_HZ = (PHONE.hears.rate_hz, WIDE.hears.rate_hz)
FRAME_BYTES = 4  # left and right, 16 bits each
MAX_FRAMES = (0xFFFFFFFF - HEADER_BYTES) // FRAME_BYTES
_HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")


def header(frames: int, rate_hz: int = RATE_HZ) -> bytes:
    """The header of a file of `frames` stereo samples."""
    size = min(frames, MAX_FRAMES) * FRAME_BYTES
    return _HEADER.pack(
        b"RIFF",
        size + HEADER_BYTES - 8,
        b"WAVE",
        b"fmt ",
        16,
        1,
        2,
        rate_hz,
        rate_hz * FRAME_BYTES,
        FRAME_BYTES,
        16,
        b"data",
        size,
    )


def create(path: Path, rate_hz: int = RATE_HZ) -> int:
    """A new file (0600) with an empty recording; returns its descriptor. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        write_at(descriptor, header(0, rate_hz), 0)
    except OSError:
        os.close(descriptor)
        path.unlink()  # a disk that is full takes names, not data
        raise
    return descriptor


def write_at(descriptor: int, data: bytes, offset: int) -> None:
    """All of `data` at `offset`. Raises OSError, also where a disk takes only part of it."""
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written


def repair(path: Path) -> float | None:
    """Make the header agree with the file's length; seconds of audio, None where it is no
    recording of ours. Raises OSError."""
    with path.open("r+b") as file:
        start = file.read(HEADER_BYTES)
        if len(start) < HEADER_BYTES or start[:4] != b"RIFF" or start[8:16] != b"WAVEfmt ":
            return None
        rate_hz = int.from_bytes(start[RATE_AT : RATE_AT + 4], "little")
        if rate_hz not in RATES_HZ:
            return None
        frames = (file.seek(0, os.SEEK_END) - HEADER_BYTES) // FRAME_BYTES
        file.truncate(HEADER_BYTES + frames * FRAME_BYTES)
        file.seek(0)
        file.write(header(frames, rate_hz))
    return frames / rate_hz
