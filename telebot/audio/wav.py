"""WAV files of 16-bit mono PCM: whole ones, and the head of one that is still arriving.

RIFF: https://www.mmsp.ece.mcgill.ca/Documents/AudioFormats/WAVE/WAVE.html
"""

from __future__ import annotations

import io
import struct
import wave

HEAD = 12  # RIFF, size, WAVE
LONGEST_HEAD = 4096  # bytes before the samples
LEAST_HZ, MOST_HZ = 8000, 96000
PCM, EXTENSIBLE = 1, 0xFFFE  # kinds of samples; the second says more behind the rest
MOST_SIZE = 0xFFFFFFFF
USUAL_HEAD = 44  # bytes before the samples of a file that holds nothing else
_CHUNK = struct.Struct("<4sI")
_FORM = struct.Struct("<IHHIIHH")


class NoWav(ValueError):
    """Bytes that are no WAV file of 16-bit mono; says what they are instead."""


def written(pcm16: bytes, rate_hz: int) -> bytes:
    """A file of these samples."""
    return head(len(pcm16), rate_hz) + pcm16


def head(size: int, rate_hz: int) -> bytes:
    """What stands before `size` bytes of samples."""
    form = _FORM.pack(16, PCM, 1, rate_hz, 2 * rate_hz, 2, 16)
    riff = _CHUNK.pack(b"RIFF", min(MOST_SIZE, size + 36)) + b"WAVE"
    return riff + b"fmt " + form + _CHUNK.pack(b"data", size)


def read(data: bytes) -> tuple[bytes, int]:
    """The samples of a file, and their rate in Hz. Raises NoWav."""
    try:
        with wave.open(io.BytesIO(data)) as file:
            if file.getsampwidth() != 2 or file.getnchannels() != 1:
                raise NoWav("not 16-bit mono")
            return file.readframes(file.getnframes()), file.getframerate()
    except (wave.Error, EOFError) as error:
        raise NoWav(str(error)) from error


def plain(data: bytes) -> tuple[bytes, int] | None:
    """The samples of a file of 16-bit mono and their rate in Hz, whole samples as far as there are
    any: a recorder that was cut off, or that streamed, left a length that does not hold. None for
    every other kind of file; nothing is decoded, so it is quick."""
    if data[:4] != b"RIFF" or data[8:HEAD] != b"WAVE":
        return None
    try:
        found = start(data[:LONGEST_HEAD])
    except NoWav:
        return None
    if found is None:
        return None
    at, rate_hz = found
    size = int.from_bytes(data[at - 4 : at], "little")
    end = min(len(data), at + size) if size else len(data)
    return data[at : at + ((end - at) & ~1)], rate_hz


def begun(head: bytes) -> bool:
    """Whether these bytes are, or may become, the head of a file."""
    return b"RIFF".startswith(head[:4]) and b"WAVE".startswith(head[8:HEAD])


def start(head: bytes) -> tuple[int, int] | None:
    """Where the samples of a file begin, and their rate in Hz; None where more of it must come.
    Raises NoWav."""
    if not begun(head):
        raise NoWav("something that is no WAV file")
    at, rate_hz = HEAD, 0
    while len(head) >= at + 8:
        name, size = head[at : at + 4], int.from_bytes(head[at + 4 : at + 8], "little")
        if name == b"data":
            if not rate_hz:
                raise NoWav("a WAV file without a format")
            return at + 8, rate_hz
        if name == b"fmt ":
            if len(head) < at + 24:
                return None
            rate_hz = _rate_hz(head[at + 8 : at + 24])
        at += 8 + size + (size & 1)
        if at > LONGEST_HEAD:
            raise NoWav("a WAV file with too long a header")
    return None


def _rate_hz(form: bytes) -> int:
    channels, bits = int.from_bytes(form[2:4], "little"), int.from_bytes(form[14:16], "little")
    rate_hz = int.from_bytes(form[4:8], "little")
    if int.from_bytes(form[:2], "little") not in (PCM, EXTENSIBLE):
        raise NoWav("WAV of samples that are no plain numbers")
    if (channels, bits) != (1, 16) or not LEAST_HZ <= rate_hz <= MOST_HZ:
        raise NoWav(f"WAV of {channels} channels of {bits} bits at {rate_hz} Hz, not 16-bit mono")
    return rate_hz
