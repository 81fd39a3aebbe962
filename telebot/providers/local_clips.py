"""The recogniser and the voice of this machine, for work that is no call. Nothing leaves it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from itertools import pairwise
from typing import Any

from telebot.call.errors import ProviderBusy, ProviderConfigError, ProviderError
from telebot.providers.clips import (
    HearingAbility,
    Recording,
    Script,
    SpeakingAbility,
    Transcript,
    Use,
    VoiceRow,
    characters,
    lost,
)
from telebot.providers.failure import Cause
from telebot.providers.local_speech import LocalSpeech
from telebot.providers.resources import Resources
from telebot.providers.synthesiser import check_voice
from telebot.providers.vendor import check_known
from telebot.providers.voice import VOICES
from telebot.providers.voicing import quiet_point, to_float

MODEL = "local"
PIECE_S = 25.0  # a model pass; longer recordings are heard in pieces, cut at their quietest point
CUT_WITHIN_S = 5.0
LONGEST_S = 4 * 3600.0
RATE_HZ = 24000  # of the voice
LONGEST = 20_000


def build_transcriber(options: Mapping[str, Any], resources: Resources) -> LocalTranscriber:
    """Takes no options. Raises ProviderConfigError."""
    check_known("key", options, ("model",), "local")
    return LocalTranscriber(resources.local)


def build_speaker(options: Mapping[str, Any], resources: Resources) -> LocalSpeaker:
    """Takes no options. Raises ProviderConfigError."""
    check_known("key", options, ("model",), "local")
    return LocalSpeaker(resources.local)


class LocalTranscriber:
    """moonshine, English only (a `Transcriber`)."""

    model = MODEL
    abilities: frozenset[HearingAbility] = frozenset({"partials"})
    longest_s = LONGEST_S

    def __init__(self, local: LocalSpeech) -> None:
        self._local = local

    async def transcribe(self, recording: Recording) -> Transcript:
        """The words, without times: the model tells none."""
        text = ""
        async for so_far in self.partials(recording):
            text = so_far.text if isinstance(so_far, Transcript) else so_far
        return Transcript(text, "en")

    async def partials(self, recording: Recording) -> AsyncIterator[str | Transcript]:
        """The text, a piece longer each time."""
        texts: list[str] = []
        cuts = await asyncio.to_thread(_cuts, recording)
        for begin, end in pairwise(cuts):
            piece = recording.sound.pcm16[begin:end]
            try:
                heard = await self._local.stt.transcribe(piece, recording.sound.rate_hz)
            except ProviderBusy as error:
                raise lost(Cause.RATE_LIMIT, str(error)) from error
            except ProviderError as error:
                raise lost(Cause.ERROR, str(error)) from error
            if heard.text:
                texts.append(heard.text)
                yield " ".join(texts)
        yield Transcript(" ".join(texts), "en")


class LocalSpeaker:
    """hibari, English only (a `Speaker` that `ListsVoices`)."""

    model = MODEL
    abilities: frozenset[SpeakingAbility] = frozenset()
    longest = LONGEST
    rate_hz = RATE_HZ

    def __init__(self, local: LocalSpeech) -> None:
        self._local = local

    async def speak(self, script: Script) -> AsyncIterator[bytes]:
        """A sentence at a time."""
        try:
            voice = check_voice(script.voice or VOICES[0])
        except ProviderConfigError as error:
            raise lost(Cause.BAD_REQUEST, str(error)) from error
        tts, rate_hz = self._local.tts, RATE_HZ
        try:
            clips = tts.stream(script.text, voice=voice, rate_hz=rate_hz, keep=script.keep)
            async for clip in clips:
                yield clip.pcm16
        except ProviderBusy as error:
            raise lost(Cause.RATE_LIMIT, str(error)) from error
        except ProviderError as error:
            raise lost(Cause.BAD_REQUEST, str(error)) from error

    def uses(self, script: Script) -> tuple[Use, ...]:
        return characters(script)

    async def voices(self) -> list[VoiceRow]:
        return [VoiceRow(name, name, "en") for name in VOICES]


def _cuts(recording: Recording) -> list[int]:
    """Where the recording begins, is cut where it is quiet, and ends, in bytes: pieces that the
    model can take. No copy of what is left is made: of hours it held up everything."""
    pcm16, rate_hz = recording.sound.pcm16, recording.sound.rate_hz
    longest = round(PIECE_S * rate_hz) * 2
    cuts = [0]
    while len(pcm16) - cuts[-1] > longest:
        piece = to_float(pcm16[cuts[-1] : cuts[-1] + longest])
        cuts.append(cuts[-1] + quiet_point(piece, rate_hz, CUT_WITHIN_S) * 2)
    return [*cuts, len(pcm16)]
