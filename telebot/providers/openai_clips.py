"""OpenAI's transcription and speech for work that is no call; also for the vendors and servers that
copy this wire (`openai_compatible`, Groq).

https://platform.openai.com/docs/api-reference/audio/createTranscription: `whisper-1` tells words
with their times, the newer models stream their text and tell what they bill.
https://platform.openai.com/docs/api-reference/audio/createSpeech: PCM comes at 24 kHz.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import orjson

from telebot.audio import wav
from telebot.providers import openai as vendor_file
from telebot.providers import vendor
from telebot.providers.asking import pieces, whole_samples
from telebot.providers.clips import (
    HearingAbility,
    Recording,
    Script,
    SpeakingAbility,
    Transcript,
    Use,
    VoiceRow,
    Word,
    characters,
    lost,
)
from telebot.providers.failure import Cause
from telebot.providers.locale import primary
from telebot.providers.openai_wire import account, events, form, post, read_json
from telebot.providers.resources import Resources
from telebot.providers.vendor_http import VendorHttp

STT_MODEL = "gpt-transcribe"
LONGEST_S = 1400.0  # 25 MB of WAV at 8 kHz and more than the newer models take of one file
LONGEST = 4096
FILES = frozenset({"mp3"})
FIXED: frozenset[SpeakingAbility] = frozenset({"speed", "any_voice"})
TOLD_HOW: frozenset[SpeakingAbility] = FIXED | {"instructions"}


def build_transcriber(options: Mapping[str, Any], resources: Resources) -> OpenAITranscriber:
    """`model`, `base_url`, `api_key_env`. Raises ProviderConfigError."""
    vendor.check_known("key", options, vendor.VOICE_KEYS, "openai")
    http = account(options, resources, vendor_file.VENDOR, vendor_file.URL, "openai")
    return OpenAITranscriber(http, str(options.get("model") or STT_MODEL))


def build_speaker(options: Mapping[str, Any], resources: Resources) -> OpenAISpeaker:
    """`model`, `voice`, `base_url`, `api_key_env`. Raises ProviderConfigError."""
    vendor.check_known("key", options, vendor.VOICE_KEYS, "openai")
    http = account(options, resources, vendor_file.VENDOR, vendor_file.URL, "openai")
    model = str(options.get("model") or vendor_file.TTS_MODEL)
    voice = str(options.get("voice") or vendor_file.TTS_VOICE)
    return OpenAISpeaker(http, model, voice, vendor_file.TTS_VOICES, FILES)


class OpenAITranscriber:
    """A `Transcriber` that `Streams` where its model does."""

    longest_s = LONGEST_S

    def __init__(self, http: VendorHttp, model: str) -> None:
        self._http = http
        self.model = model
        self.abilities = _abilities(model)

    async def transcribe(self, recording: Recording) -> Transcript:
        """One file, one answer."""
        path = "translations" if recording.task == "translate" else "transcriptions"
        body, kind = _asked(recording, self.model, self.abilities)
        async with post(self._http, f"/audio/{path}", body, kind) as answer:
            return _transcript(await read_json(answer, self._http.who), recording)

    async def partials(self, recording: Recording) -> AsyncIterator[str | Transcript]:
        """The text as it grows; Whisper ignores the wish and answers once."""
        if "partials" not in self.abilities or recording.words:
            yield await self.transcribe(recording)
            return
        text = ""
        body, kind = _asked(recording, self.model, self.abilities, stream=True)
        async with post(self._http, "/audio/transcriptions", body, kind) as answer:
            async for event in events(answer, self._http.who):
                if event.get("type") == "transcript.text.delta":
                    text += event["delta"]
                    yield text.strip()
                elif event.get("type") == "transcript.text.done":
                    yield _transcript(event, recording)
                    return
        raise lost(Cause.STALLED, f"{self._http.who} ends its stream in the middle")


class OpenAISpeaker:
    """A `Speaker` that `ListsVoices`."""

    longest = LONGEST
    rate_hz = vendor_file.TTS_HZ

    def __init__(
        self,
        http: VendorHttp,
        model: str,
        voice: str,
        voices: tuple[str, ...] = (),
        files: frozenset[str] = frozenset(),
    ) -> None:
        """`files`: what else than PCM the server gives."""
        self._http = http
        self.files = files
        self._voice = voice
        self._voices = voices
        self.model = model
        self.abilities = TOLD_HOW if model.startswith("gpt-") else FIXED

    async def speak(self, script: Script) -> AsyncIterator[bytes]:
        """PCM as it comes."""
        async for piece in whole_samples(self.speak_file(script, "pcm")):
            yield piece

    async def speak_file(self, script: Script, kind: str) -> AsyncIterator[bytes]:
        """The sound in OpenAI's own coding."""
        asked: dict[str, Any] = {
            "model": self.model,
            "voice": script.voice or self._voice,
            "input": script.text,
            "response_format": kind,
        }
        if script.speed != 1.0:
            asked["speed"] = script.speed
        if script.instructions and "instructions" in self.abilities:
            asked["instructions"] = script.instructions
        body = orjson.dumps({**script.options, **asked})
        async with post(self._http, "/audio/speech", body, "application/json") as answer:
            async for piece in pieces(answer, who=self._http.who):
                yield piece

    def uses(self, script: Script) -> tuple[Use, ...]:
        return characters(script)

    async def voices(self) -> list[VoiceRow]:
        return [VoiceRow(name, name) for name in self._voices]


def _abilities(model: str) -> frozenset[HearingAbility]:
    if "whisper" in model and not model.startswith("gpt-"):
        turbo = "turbo" in model  # was not taught to translate
        told: frozenset[HearingAbility] = frozenset({"language", "prompt", "words"})
        return told if turbo else told | {"translate"}
    if "diarize" in model:
        return frozenset({"language", "speakers", "partials"})
    return frozenset({"language", "prompt", "partials"})


def _asked(
    recording: Recording, model: str, abilities: frozenset[HearingAbility], *, stream: bool = False
) -> tuple[bytes, str]:
    """The form of a request, and its media type."""
    asked: dict[str, Any] = {"model": model}
    if recording.language and recording.task == "transcribe":
        asked["language"] = primary(recording.language)
    if recording.prompt:
        asked["prompt"] = recording.prompt
    if recording.task == "translate":  # knows neither language nor granularities
        pass
    elif recording.words and "words" in abilities:
        asked |= {"response_format": "verbose_json", "timestamp_granularities": ["word"]}
    elif recording.speakers and "speakers" in abilities:
        asked |= {"response_format": "diarized_json", "chunking_strategy": "auto"}
    if stream:
        asked["stream"] = True
    sound = recording.sound
    file = (wav.head(len(sound.pcm16), sound.rate_hz), sound.pcm16)
    return form(file, {**asked, **recording.options})


def _transcript(answer: Mapping[str, Any], recording: Recording) -> Transcript:
    text = answer.get("text")
    if not isinstance(text, str):
        raise lost(Cause.ERROR, "the answer has no text")
    return Transcript(
        text.strip(),
        _language(answer) or recording.language,
        words=tuple(_words(answer)),
        uses=tuple(_uses(answer.get("usage"))),
    )


def _language(answer: Mapping[str, Any]) -> str | None:
    name = answer.get("language")
    if isinstance(name, str):
        return LANGUAGES.get(name.lower(), name)
    for found in answer.get("languages") or ():
        if isinstance(found.get("code"), str):
            return str(found["code"])
    return None


def _words(answer: Mapping[str, Any]) -> Iterator[Word]:
    for word in answer.get("words") or ():
        yield Word(word["word"], float(word["start"]), float(word["end"]))
    for segment in answer.get("segments") or ():
        speaker = segment.get("speaker")
        if isinstance(speaker, str):
            start_s, end_s = float(segment["start"]), float(segment["end"])
            yield Word(segment["text"].strip(), start_s, end_s, speaker=speaker)


def _uses(usage: Mapping[str, Any] | None) -> Iterator[Use]:
    """Whisper bills seconds, the others tokens."""
    if usage is None:
        return
    if usage.get("type") == "duration":
        yield Use(float(math.ceil(usage["seconds"])), "s")
        return
    yield Use(float(usage["input_tokens"]), "tokens_in")
    yield Use(float(usage["output_tokens"]), "tokens_out")


# Whisper names the language it heard in English
# (https://platform.openai.com/docs/api-reference/audio/verbose-json-object)
LANGUAGES = {
    "english": "en", "german": "de", "french": "fr", "spanish": "es", "italian": "it",
    "portuguese": "pt", "dutch": "nl", "polish": "pl", "russian": "ru", "ukrainian": "uk",
    "turkish": "tr", "arabic": "ar", "hindi": "hi", "chinese": "zh", "japanese": "ja",
    "korean": "ko", "swedish": "sv", "danish": "da", "norwegian": "no", "finnish": "fi",
    "czech": "cs", "greek": "el", "hebrew": "he", "hungarian": "hu", "romanian": "ro",
    "vietnamese": "vi", "thai": "th", "indonesian": "id",
}  # fmt: skip
