"""The sentences that a chain of voices may keep, and whether one was said whole.

`chain_tts.py` asks it before any voice, and shows it each sentence that a voice has said by itself.
What is kept is heard by every caller from then on, so it is judged more strictly than what one
caller hears once: the last word must reach the audio's end.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

from telebot.audio import levels
from telebot.audio.line import ULAW, Form
from telebot.providers.kept_voice import KeptVoice, Said
from telebot.providers.link import Link
from telebot.providers.spoken import Word
from telebot.providers.utterance import QUIET_RMS, Muted, Utterance
from telebot.providers.word_clock import WordClock

REACHED_S = 0.08  # the yardstick's last word ends this near the end of whole audio
NEAR_S = 0.2  # or this near, where the audio ends in silence
TAIL = 640  # bytes of 40 ms
LEAST = 0.5  # of the yardstick's length in sound


@dataclass(frozen=True, slots=True)
class Repertoire:
    """`sentences` are an agent's fixed ones, with single spaces. Each form of lines has its own
    audio of a voice."""

    kept: KeptVoice
    sentences: frozenset[str]
    form: Form = ULAW

    def _named(self, sound: str) -> str:
        """A voice as lines of this form hear it."""
        return sound if self.form is ULAW else f"{sound} {self.form.rate_hz} Hz"

    async def find(self, links: Sequence[Link], text: str) -> tuple[Link, Said] | None:
        """The sentence as one of these voices said it before."""
        able = [link for link in links if link.sound]
        if text not in self.sentences or not able:
            return None
        found = await self.kept.find([self._named(link.sound) for link in able], text)
        return None if found is None else (able[found[0]], found[1])

    def offer(self, link: Link, text: str, utterance: Utterance, word_clock: WordClock) -> None:
        """A voice has said something without a fault; keep it where it is all of a sentence."""
        if link.sound and text in self.sentences and utterance.text == text:
            self.kept.later(self._judge(link.sound, utterance, word_clock))

    def seed(self, sound: str, text: str, audio: bytes, word_clock: WordClock) -> None:
        """Take over what was made of this voice apart from any call."""
        if not sound or text not in self.sentences or self.kept.has(self._named(sound), text):
            return
        utterance = Utterance(text.split(), 0.0, self.form.rate_hz)
        with contextlib.suppress(Muted):
            utterance.feed(self.form.to_pcm(audio))
            utterance.end()
            self.kept.later(self._judge(sound, utterance, word_clock))

    async def _judge(self, voice: str, utterance: Utterance, word_clock: WordClock) -> None:
        words = await whole(utterance, word_clock)
        if words:
            said = Said(self.form.from_pcm(bytes(utterance.pcm)), tuple(words))
            self.kept.put(self._named(voice), utterance.text, said)


async def whole(utterance: Utterance, word_clock: WordClock) -> Sequence[Word]:
    """The words' times where the audio says all of them; else nothing."""
    pcm16, told = utterance.narrow(), utterance.told
    yardstick = await word_clock.yardstick(utterance.words)
    if utterance.loud_s < LEAST * yardstick.seconds:
        return ()
    quiet = levels.rms(pcm16[-TAIL:]) <= QUIET_RMS
    if len(yardstick.audio):
        placed = await word_clock.place(pcm16, yardstick, whole=False)
        near_s = NEAR_S if quiet else REACHED_S
        reached = bool(placed) and placed[-1].end_s <= utterance.audio_s + near_s
    else:
        reached = quiet  # no text of the local voice's language: only the silence behind it tells
    if not reached:
        return ()
    every = len(told) == len(utterance.words)
    return told if every else await word_clock.place(pcm16, yardstick, whole=True)
