"""Real speech for the simulated vendors: the models of this machine, in any format on the wire.

A vendor's file asks `hear` for the text of what it was sent and `say` for audio with word times; a
streaming recogniser keeps a `Hearing`, which finds the ends of utterances.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from telebot.audio import g711
from telebot.audio.resample import resample
from telebot.providers.local_speech import LocalSpeech
from telebot.providers.spoken import Word
from telebot.providers.voice import VOICE_RATE_HZ
from telebot.providers.voicing import to_float

PHONE_HZ = 8000
QUIET = 0.01  # RMS below which a piece is silence
PIECE_S = 0.02
ENDPOINT_S = 0.3
LONGEST_S = 60.0


@dataclass(frozen=True, slots=True)
class Said:
    """Audio of a text: int16 mono at `rate_hz`, and its words with their times in it."""

    pcm16: bytes
    rate_hz: int
    words: tuple[Word, ...]

    @property
    def seconds(self) -> float:
        return len(self.pcm16) / 2 / self.rate_hz

    def pieces(self, seconds: float = 0.1) -> list[bytes]:
        """The audio in pieces of `seconds`."""
        step = max(1, round(self.rate_hz * seconds)) * 2
        return [self.pcm16[i : i + step] for i in range(0, len(self.pcm16), step)]


def decode(audio: bytes, encoding: str, rate_hz: int) -> bytes:
    """Audio in a vendor's encoding (``mulaw``, ``alaw``, ``linear16``) as int16 PCM."""
    if encoding in ("mulaw", "ulaw", "pcmu", "audio/pcmu"):
        return g711.decode(audio)
    return audio[: len(audio) & ~1]


def encode(pcm16: bytes, encoding: str) -> bytes:
    """int16 PCM in a vendor's encoding (``mulaw`` or ``linear16``)."""
    return g711.encode(pcm16) if encoding in ("mulaw", "ulaw", "pcmu") else pcm16


class Speech:
    """The models, asked by every simulated vendor."""

    def __init__(self, local: LocalSpeech) -> None:
        self._local = local

    async def hear(self, pcm16: bytes, rate_hz: int) -> str:
        """The text of an utterance; "" where there is none. At most a minute."""
        longest = round(LONGEST_S * rate_hz) * 2
        return (await self._local.stt.transcribe(pcm16[-longest:], rate_hz)).text

    async def say(self, text: str, rate_hz: int) -> Said:
        """`text` spoken at `rate_hz`; word times count from the first sample."""
        pcm, words, at_s = bytearray(), [], 0.0
        of_hz = PHONE_HZ if rate_hz <= PHONE_HZ else VOICE_RATE_HZ
        async for clip in self._local.tts.stream(text, rate_hz=of_hz):
            pcm += clip.pcm16
            words += [Word(at_s + w.start_s, at_s + w.end_s, w.text) for w in clip.spoken.words]
            at_s += clip.audio_s
        return Said(resample(bytes(pcm), of_hz, rate_hz), rate_hz, tuple(words))


class Hearing:
    """What a streaming recogniser has been sent: it grows until an utterance is over."""

    def __init__(self, rate_hz: int, encoding: str = "linear16") -> None:
        self._rate_hz = rate_hz
        self._encoding = encoding
        self._pcm = bytearray()
        self._quiet_s = 0.0
        self.heard_speech = False  # since the last `take`
        self.start_s = 0.0  # of the utterance, from the session's start
        self.audio_s = 0.0  # since the session's start

    def feed(self, audio: bytes) -> bool:
        """More audio. True where an utterance has just ended (0.3 s of silence after speech)."""
        pcm = decode(audio, self._encoding, self._rate_hz)
        self._pcm += pcm
        ended, step = False, round(PIECE_S * self._rate_hz) * 2
        for i in range(0, len(pcm), step):
            piece = to_float(pcm[i : i + step])
            length_s = len(piece) / self._rate_hz
            self.audio_s += length_s
            if len(piece) and float(np.sqrt((piece**2).mean())) > QUIET:
                self.heard_speech, self._quiet_s = True, 0.0
            else:
                self._quiet_s += length_s
                if self.heard_speech and self._quiet_s - length_s < ENDPOINT_S <= self._quiet_s:
                    ended = True
        if not self.heard_speech:
            keep = round(0.5 * self._rate_hz) * 2
            del self._pcm[:-keep]
        return ended

    @property
    def pcm16(self) -> bytes:
        """The utterance so far."""
        return bytes(self._pcm)

    @property
    def rate_hz(self) -> int:
        return self._rate_hz

    def take(self) -> bytes:
        """The utterance, which is over: what comes now is the next one."""
        pcm = bytes(self._pcm)
        self._pcm.clear()
        self.heard_speech, self._quiet_s, self.start_s = False, 0.0, self.audio_s
        return pcm
