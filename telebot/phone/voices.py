"""The caller's own voice and ears, by the built-in speech models, off the event loop.

The models of one process are loaded once and shared by its phones.
"""

from __future__ import annotations

import asyncio
import re
import threading
from typing import TYPE_CHECKING, Protocol

from telebot.audio import g711
from telebot.phone.microphone import Utterance
from telebot.phone.sound import utterance

if TYPE_CHECKING:
    from hibari import Hibari

    from telebot.providers.recogniser import SpeechToText

QUOTES = re.compile(r"""["“”]+|(?<!\w)['‘’]+|['‘’]+(?!\w)""")  # a recogniser writes them at random


class Speech(Protocol):
    """What a phone needs to talk and to hear."""

    async def speak(self, text: str, pauses: tuple[tuple[int, float], ...] = ()) -> Utterance:
        """`text` spoken; `pauses` are (after how many words, seconds) of silence inside."""
        ...

    async def hear(self, ulaw: bytes) -> str:
        """The words in 8 kHz mu-law; '' where there are none."""
        ...


class LocalSpeech:
    """The built-in voice and recogniser, each loaded when it is first needed (about a second)."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._voice: Hibari | None = None
        self._ears: SpeechToText | None = None
        self._spoken: dict[tuple[str, tuple[tuple[int, float], ...]], Utterance] = {}

    async def load(self) -> None:
        """Load both now, so that nothing has to be loaded in the middle of a call."""
        await asyncio.to_thread(self._load_voice)
        await asyncio.to_thread(self._load_ears)

    async def speak(self, text: str, pauses: tuple[tuple[int, float], ...] = ()) -> Utterance:
        return await asyncio.to_thread(self._speak, text, pauses)

    async def hear(self, ulaw: bytes) -> str:
        ears = await asyncio.to_thread(self._load_ears)
        text = (await ears.transcribe(g711.decode(ulaw), g711.RATE_HZ)).text
        return " ".join(QUOTES.sub(" ", text).split())

    def close(self) -> None:
        """Give the models back."""
        if self._ears:
            self._ears.close()
        self._ears = self._voice = None

    def _load_voice(self) -> Hibari:
        from telebot.providers.voice import VOICES, load_voice

        with self._lock:
            if self._voice is None:
                self._voice = load_voice(VOICES[0])
            return self._voice

    def _load_ears(self) -> SpeechToText:
        from telebot.providers.recogniser import SpeechToText

        with self._lock:
            if self._ears is None:
                self._ears = SpeechToText()
                self._ears.load()
            return self._ears

    def _speak(self, text: str, pauses: tuple[tuple[int, float], ...]) -> Utterance:
        from telebot.providers.voice import say

        voice = self._load_voice()
        with self._lock:
            if (text, pauses) not in self._spoken:
                clip = say(voice, text, g711.RATE_HZ)
                ends_s = [word.end_s for word in clip.spoken.words]
                pcm16 = with_pauses(clip.pcm16, ends_s, pauses)
                self._spoken[text, pauses] = utterance(text, pcm16)
            return self._spoken[text, pauses]


def with_pauses(
    pcm16: bytes, word_ends_s: list[float], pauses: tuple[tuple[int, float], ...]
) -> bytes:
    """8 kHz PCM with silences put in after the given words. A sentence is spoken whole and cut
    then, because a voice that is given half a sentence ends it like a whole one."""
    parts, done = [], 0
    for words, pause_s in sorted(pauses):
        cut = 2 * round(word_ends_s[words - 1] * g711.RATE_HZ)
        parts += [pcm16[done:cut], bytes(2 * round(pause_s * g711.RATE_HZ))]
        done = cut
    return b"".join([*parts, pcm16[done:]])
