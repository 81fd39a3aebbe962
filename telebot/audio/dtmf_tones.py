"""Keys of the telephone as tones (ITU-T Q.23, Q.24): heard in audio, and made.

Hearing is the last resort, for a line that has no events for keys: blocks of 25.6 ms, each against
the eight frequencies (Goertzel's sums as one small matrix). A key needs three blocks in a row, half
overlapping, in which two tones of like strength hold nearly all the energy, which speech does not.
"""

from __future__ import annotations

import audioop

import numpy as np

from telebot.audio import g711
from telebot.audio.g711 import RATE_HZ

ROWS, COLUMNS = (697, 770, 852, 941), (1209, 1336, 1477, 1633)
KEYS = ("123A", "456B", "789C", "*0#D")
BLOCK, HOP = 205, 102  # samples; 205 is Q.24's compromise of 40 ms tones and 70 Hz distance
LEAST_RMS = 200  # on the 16-bit scale, -44 dBFS
PURE = 0.80  # the two tones' share of the energy
ABOVE_OTHERS = 6.3  # 8 dB over the next frequency of the group
TWIST, REVERSE_TWIST = 4.0, 6.3  # 6 dB column over row, 8 dB row over column
HITS, MISSES = 3, 3  # blocks until a key counts, and until it may come again
TONE_MS, PAUSE_MS = 120, 80
AMPLITUDE = 0.18  # of each tone; -18 dBFS, as telephones key

_WINDOW = np.hamming(BLOCK)
_ANGLES = 2 * np.pi / RATE_HZ * np.outer((*ROWS, *COLUMNS), np.arange(BLOCK))
_SUMS = (np.vstack([np.cos(_ANGLES), np.sin(_ANGLES)]) * _WINDOW).astype(np.float32)
# a sine of power p gives a sum of squares p * (sum of the window)^2 / 2
_SCALE = 2 / float(_WINDOW.sum()) ** 2
_WEIGHT = (_WINDOW**2 / (_WINDOW**2).sum()).astype(np.float32)


def tones(key: str) -> bytes:
    """One key as mu-law audio, with a pause behind it. Raises ValueError for what is no key."""
    for row, names in zip(ROWS, KEYS, strict=True):
        if len(key) == 1 and key in names:
            column = COLUMNS[names.index(key)]
            t = np.arange(RATE_HZ * TONE_MS // 1000) / RATE_HZ
            both = np.sin(2 * np.pi * row * t) + np.sin(2 * np.pi * column * t)
            pcm = (both * AMPLITUDE * 32767).astype(np.int16)
            return g711.encode(pcm.tobytes()) + g711.SILENCE * (RATE_HZ * PAUSE_MS // 1000)
    raise ValueError(f"not a key of a telephone: {key!r}")


class ToneKeys:
    """Keys in one stream of audio."""

    def __init__(self) -> None:
        self._waiting = bytearray()
        self._key = ""  # that is heard now
        self._hits = 0
        self._misses = MISSES
        self._said = False

    def feed(self, ulaw: bytes) -> str:
        """More audio; the keys that count now."""
        waiting = self._waiting
        waiting += ulaw
        keys = ""
        while len(waiting) >= BLOCK:
            keys += self._block(key_in(bytes(waiting[:BLOCK])))
            del waiting[:HOP]
        return keys

    def _block(self, key: str) -> str:
        if key and key == self._key:
            self._hits += 1
            self._misses = 0
            if self._hits >= HITS and not self._said:
                self._said = True
                return key
            return ""
        self._misses += 1
        if self._misses >= MISSES or (key and not self._said):
            self._key, self._hits, self._said = key, 1 if key else 0, False
            self._misses = 0 if key else MISSES
        return ""


def key_in(ulaw: bytes) -> str:
    """The key that sounds in `BLOCK` samples, or ''."""
    if audioop.rms(audioop.ulaw2lin(ulaw, 2), 2) < LEAST_RMS:
        return ""
    samples = g711.to_float(ulaw)
    sums = _SUMS @ samples
    power = (sums[:8] ** 2 + sums[8:] ** 2) * _SCALE
    rows, columns = power[:4], power[4:]
    row, column = int(rows.argmax()), int(columns.argmax())
    row_power, column_power = float(rows[row]), float(columns[column])
    if row_power + column_power < PURE * float((samples * samples) @ _WEIGHT):
        return ""
    if not row_power / REVERSE_TWIST <= column_power <= row_power * TWIST:
        return ""
    for power_of, index in ((rows, row), (columns, column)):
        others = np.delete(power_of, index)
        if float(others.max()) * ABOVE_OTHERS > float(power_of[index]):
            return ""
    return KEYS[row][column]
