"""OpenAI's transcription and speech for work that is no call, on OpenAI's own SDK; also for the
vendors and servers that copy this wire (`openai_compatible`, Groq).

https://platform.openai.com/docs/api-reference/audio/createTranscription: `whisper-1` tells words
with their times, the newer models stream their text and tell what they bill.
https://platform.openai.com/docs/api-reference/audio/createSpeech: PCM comes at 24 kHz.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import openai

from telebot.providers import openai as vendor_file
from telebot.providers import vendor
from telebot.providers.asking import failure_of_status, whole_samples
from telebot.providers.clips import (
    ClipFailed,
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
from telebot.providers.failure import CAUSES, Cause, Failure, retry_after
from telebot.providers.openai_errors import UNREADABLE, WIRE_ERRORS, category
from telebot.providers.resources import Resources

STT_MODEL = "gpt-transcribe"
LONGEST_S = 1400.0  # 25 MB of WAV at 8 kHz and more than the newer models take of one file
LONGEST = 4096
PIECE_BYTES = 4800  # 0.1 s
TIMEOUT_S = 60.0
FIXED: frozenset[SpeakingAbility] = frozenset({"speed", "any_voice"})
TOLD_HOW: frozenset[SpeakingAbility] = FIXED | {"instructions"}
KEYS = ("model", "voice", "api_key_env", "base_url")


def build_transcriber(options: Mapping[str, Any], resources: Resources) -> OpenAITranscriber:
    """`model`, `base_url`, `api_key_env`. Raises ProviderConfigError."""
    vendor.check_known("key", options, KEYS, "openai")
    client = shared_client(options, resources, vendor_file.VENDOR, vendor_file.URL)
    return OpenAITranscriber(client, str(options.get("model") or STT_MODEL), "openai")


def build_speaker(options: Mapping[str, Any], resources: Resources) -> OpenAISpeaker:
    """`model`, `voice`, `base_url`, `api_key_env`. Raises ProviderConfigError."""
    vendor.check_known("key", options, KEYS, "openai")
    client = shared_client(options, resources, vendor_file.VENDOR, vendor_file.URL)
    model = str(options.get("model") or vendor_file.TTS_MODEL)
    voice = str(options.get("voice") or vendor_file.TTS_VOICE)
    return OpenAISpeaker(client, model, voice, "openai", vendor_file.TTS_VOICES)


def shared_client(
    options: Mapping[str, Any], resources: Resources, name: str, url: str
) -> openai.AsyncOpenAI:
    """A client of a vendor (``OPENAI``) on the process's connections, which asks once. Raises
    ProviderConfigError."""
    return openai.AsyncOpenAI(
        api_key=vendor.vendor_key(options, resources.environ, name),
        base_url=vendor.vendor_url(options, resources.environ, name, url),
        http_client=vendor_file.openai_http(resources),
        max_retries=0,
        timeout=TIMEOUT_S,
    )


class OpenAITranscriber:
    """A `Transcriber` that `Streams` where its model does."""

    longest_s = LONGEST_S

    def __init__(self, client: openai.AsyncOpenAI, model: str, who: str) -> None:
        self._client = client
        self._who = who
        self.model = model
        self.abilities = _abilities(model)

    async def transcribe(self, recording: Recording) -> Transcript:
        """One file, one answer."""
        audio = self._client.audio
        with failing(self._who):
            if recording.task == "translate":
                answer: Any = await audio.translations.create(**self._asked(recording))
            else:
                answer = await audio.transcriptions.create(**self._asked(recording))
            return _transcript(answer, recording)

    async def partials(self, recording: Recording) -> AsyncIterator[str | Transcript]:
        """The text as it grows; Whisper ignores the wish and answers once."""
        if "partials" not in self.abilities or recording.words:
            yield await self.transcribe(recording)
            return
        text = ""
        with failing(self._who):
            stream: Any = await self._client.audio.transcriptions.create(
                **self._asked(recording), stream=True
            )
            async with stream:
                async for event in stream:
                    if event.type == "transcript.text.delta":
                        text += event.delta
                        yield text.strip()
                    elif event.type == "transcript.text.done":
                        yield _transcript(event, recording)
                        return
        raise lost(Cause.STALLED, f"{self._who} ends its stream in the middle")

    def _asked(self, recording: Recording) -> dict[str, Any]:
        asked: dict[str, Any] = {
            "model": self.model,
            "file": ("audio.wav", recording.sound.wav(), "audio/wav"),
        }
        if recording.language and recording.task == "transcribe":
            asked["language"] = recording.language.partition("-")[0]
        if recording.prompt:
            asked["prompt"] = recording.prompt
        if recording.words and "words" in self.abilities:
            asked |= {"response_format": "verbose_json", "timestamp_granularities": ["word"]}
        elif recording.speakers and "speakers" in self.abilities:
            asked |= {"response_format": "diarized_json", "chunking_strategy": "auto"}
        # as fields of the body: an argument that the SDK does not know would be an error of ours,
        # and some that it knows are no fields (headers, how often to ask)
        return {**asked, "extra_body": dict(recording.options)}


class OpenAISpeaker:
    """A `Speaker` that `ListsVoices`."""

    longest = LONGEST
    rate_hz = vendor_file.TTS_HZ

    def __init__(
        self,
        client: openai.AsyncOpenAI,
        model: str,
        voice: str,
        who: str,
        voices: tuple[str, ...] = (),
    ) -> None:
        self._client = client
        self._voice = voice
        self._who = who
        self._voices = voices
        self.model = model
        self.abilities = TOLD_HOW if model.startswith("gpt-") else FIXED

    async def speak(self, script: Script) -> AsyncIterator[bytes]:
        """PCM as it comes."""
        asked: dict[str, Any] = {
            "model": self.model,
            "voice": script.voice or self._voice,
            "input": script.text,
            "response_format": "pcm",
        }
        if script.speed != 1.0:
            asked["speed"] = script.speed
        if script.instructions and "instructions" in self.abilities:
            asked["instructions"] = script.instructions
        speech = self._client.audio.speech.with_streaming_response
        with failing(self._who):
            extra = {name: value for name, value in script.options.items() if name not in asked}
            async with speech.create(**asked, extra_body=extra) as answer:
                async for piece in whole_samples(answer.iter_bytes(PIECE_BYTES)):
                    yield piece

    def uses(self, script: Script) -> tuple[Use, ...]:
        return characters(script)

    async def voices(self) -> list[VoiceRow]:
        return [VoiceRow(name, name) for name in self._voices]


@contextmanager
def failing(who: str) -> Iterator[None]:
    """Errors of the SDK, and answers that cannot be read, as `ClipFailed`."""
    try:
        yield
    except openai.APIStatusError as error:
        told = category(error)
        failure = failure_of_status(error.status_code, error)
        if told is not None:
            failure = Failure(CAUSES.get(told, failure.cause), retry_after(error))
        raise ClipFailed(failure, f"{who} answers {error.status_code}") from error
    except openai.APITimeoutError as error:
        raise lost(Cause.SLOW_FIRST, f"{who} does not answer in time") from error
    except WIRE_ERRORS as error:
        told = category(error)
        cause = CAUSES.get(told, Cause.ERROR) if told is not None else Cause.ERROR
        raise lost(cause, f"{who}: {type(error).__name__}") from error
    except UNREADABLE as error:
        raise lost(Cause.ERROR, f"{who} answers with something that is no JSON") from error


def _abilities(model: str) -> frozenset[HearingAbility]:
    if "whisper" in model:
        return frozenset({"language", "prompt", "words", "translate"})
    if "diarize" in model:
        return frozenset({"language", "speakers", "partials"})
    return frozenset({"language", "prompt", "partials"})


def _transcript(answer: Any, recording: Recording) -> Transcript:
    """The SDK hands an answer on as it is where it is not what was asked for."""
    text = getattr(answer, "text", None)
    if not isinstance(text, str):
        raise lost(Cause.ERROR, "the answer has no text")
    return Transcript(
        text.strip(),
        _language(answer) or recording.language,
        words=tuple(_words(answer)),
        uses=tuple(_uses(getattr(answer, "usage", None))),
    )


def _language(answer: Any) -> str | None:
    name = getattr(answer, "language", None)
    if isinstance(name, str):
        return LANGUAGES.get(name.lower(), name)
    for found in getattr(answer, "languages", None) or ():
        code = found.get("code") if isinstance(found, dict) else getattr(found, "code", None)
        if isinstance(code, str):
            return code
    return None


def _words(answer: Any) -> Iterator[Word]:
    for word in getattr(answer, "words", None) or ():
        yield Word(word.word, float(word.start), float(word.end))
    for segment in getattr(answer, "segments", None) or ():
        speaker = getattr(segment, "speaker", None)
        if isinstance(speaker, str):
            yield Word(segment.text.strip(), segment.start, segment.end, speaker=speaker)


def _uses(usage: Any) -> Iterator[Use]:
    """Whisper bills seconds, the others tokens."""
    if usage is None:
        return
    if getattr(usage, "type", None) == "duration":
        yield Use(float(math.ceil(usage.seconds)), "s")
        return
    yield Use(float(usage.input_tokens), "tokens_in")
    yield Use(float(usage.output_tokens), "tokens_out")


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
