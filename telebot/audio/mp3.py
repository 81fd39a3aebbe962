"""MP3 as it arrives: how long it lasts and whether anything can be heard in it, hardly decoded.

For sound that a vendor gives in the format that was asked for (`voice/speaking.py`): it is passed
on as it is, but nobody should pay for silence or take half a text for the whole. Frames are counted
by their headers (ISO/IEC 11172-3 section 2.4.1.3, 13818-3 section 2.4.2.3); what comes up to the
first sound is decoded.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, cast

import numpy as np

SILENT_DBFS = -96.0  # of digital silence
LAYER_3, RESERVED = 1, 1  # of two bits of a header
MOST_JUNK = 1 << 16  # bytes between two frames
MOST_TAG = 1 << 20
LOOK_BYTES = 1024  # decoded at once
# kbit/s by the index in the header; MPEG 1, then MPEG 2 and 2.5
KBITS = {
    True: (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    False: (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
RATES_HZ = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}


class NoMp3(ValueError):
    """Bytes that are no MP3."""


class Mp3Ear:
    """Listens to one stream. `rate_hz` is 0 until the first frame."""

    def __init__(self, audible_dbfs: float) -> None:
        self._audible_dbfs = audible_dbfs
        self._codec: Any = None
        self._begun = False
        self._held = b""  # less than a header; before that, less than a tag's
        self._skip = 0  # bytes up to the next header
        self._tag = 0  # bytes of the tag still to come
        self._junk = 0
        self.rate_hz = 0
        self.samples = 0
        self.audible = False

    @property
    def seconds(self) -> float:
        return self.samples / self.rate_hz if self.rate_hz else 0.0

    def feed(self, data: bytes) -> None:
        """The next bytes. Raises NoMp3."""
        if not self._begun:
            data, self._held = self._held + data, b""
            tag = _tag_bytes(data)
            if tag is None:
                self._held = data
                return
            if tag > MOST_TAG:
                raise NoMp3("a tag without an end")
            self._begun, self._skip, self._tag = True, tag, tag
        if not self.audible:
            self._listen(data[self._tag :])
            self._tag = max(0, self._tag - len(data))
        self._count(data)

    def _count(self, data: bytes) -> None:
        if self._held:
            data = self._held + data
        at = self._skip
        while at + 4 <= len(data):
            found = _frame(data[at + 1], data[at + 2]) if data[at] == 0xFF else None
            if found is None:
                at = self._resync(data, at)
                continue
            size, samples, rate_hz = found
            self.rate_hz = self.rate_hz or rate_hz
            self.samples += samples
            self._junk = 0
            at += size
        self._held, self._skip = data[at:], max(0, at - len(data))

    def _resync(self, data: bytes, at: int) -> int:
        """Where the next frame may begin. What stands between frames is a tag, or broken."""
        found = data.find(b"\xff", at + 1)
        found = len(data) if found < 0 else found
        self._junk += found - at
        if self._junk > MOST_JUNK:
            raise NoMp3("no frames")
        return found

    def _listen(self, data: bytes) -> None:
        import av
        import av.error

        if self._codec is None:
            self._codec = cast(Any, av.CodecContext.create("mp3float", "r"))
        for at in range(0, len(data), LOOK_BYTES):
            for packet in self._codec.parse(data[at : at + LOOK_BYTES]):
                try:
                    frames = self._codec.decode(packet)
                except av.error.FFmpegError:
                    continue
                for frame in frames:
                    if _level_dbfs(frame) > self._audible_dbfs:
                        self.audible = True
                        self._codec = None
                        return


def _level_dbfs(frame: Any) -> float:
    samples = frame.to_ndarray()[0]
    power = float(np.dot(samples, samples)) / max(1, len(samples))
    return 10 * math.log10(power) if power > 0 else SILENT_DBFS


def _tag_bytes(data: bytes) -> int | None:
    """How long the tag at the beginning is (https://id3.org/id3v2.4.0-structure); 0 where there is
    none, None where more must come to tell."""
    if not b"ID3".startswith(data[:3]):
        return 0
    if len(data) < 10:
        return None
    size = data[6] << 21 | data[7] << 14 | data[8] << 7 | data[9]
    footer = 10 if data[5] & 0x10 else 0
    return 10 + size + footer


@lru_cache(maxsize=1024)
def _frame(first: int, second: int) -> tuple[int, int, int] | None:
    """Bytes, samples and rate of a frame by the two bytes of its header behind the first; None
    where they are none of Layer III."""
    version, layer = first >> 3 & 3, first >> 1 & 3
    bits, rate = second >> 4, second >> 2 & 3
    if first & 0xE0 != 0xE0 or version == RESERVED or layer != LAYER_3:
        return None
    if bits in (0, 15) or rate == 3:
        return None
    whole, rate_hz = version == 3, RATES_HZ[version][rate]
    size = (144 if whole else 72) * KBITS[whole][bits - 1] * 1000 // rate_hz
    return size + (second >> 1 & 1), 1152 if whole else 576, rate_hz
