"""Deepgram for work that is no call, by its own SDK: recordings to nova, texts to Aura.

https://developers.deepgram.com/reference/speech-to-text/listen-pre-recorded,
https://developers.deepgram.com/reference/text-to-speech/speak-request
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

from deepgram import AsyncDeepgramClient
from deepgram.core.api_error import ApiError
from deepgram.environment import DeepgramClientEnvironment

from telebot.providers import vendor
from telebot.providers.asking import asked, read_json, whole_samples
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
from telebot.providers.generated_sdk import ONCE, failing, shared_http
from telebot.providers.resources import Resources

VENDOR, WHO = "DEEPGRAM", "deepgram"
URL = "https://api.deepgram.com"
STT_MODEL = "nova-3"
TTS_MODEL = "aura-2-thalia-en"
LONGEST_S = 7200.0
LONGEST = 2000  # characters of one request
RATE_HZ = 24_000
PIECE_BYTES = 4800


def build_transcriber(options: Mapping[str, Any], resources: Resources) -> DeepgramTranscriber:
    """`model`, `base_url`, `api_key_env`. Raises ProviderConfigError."""
    client, _, _ = _client(options, resources)
    return DeepgramTranscriber(client, str(options.get("model") or STT_MODEL))


def build_speaker(options: Mapping[str, Any], resources: Resources) -> DeepgramSpeaker:
    """`model` is the voice (``aura-2-thalia-en``), or ``aura-2``. Raises ProviderConfigError."""
    client, url, key = _client(options, resources)
    return DeepgramSpeaker(client, str(options.get("model") or TTS_MODEL), resources, url, key)


def _client(
    options: Mapping[str, Any], resources: Resources
) -> tuple[AsyncDeepgramClient, str, str]:
    vendor.check_known("key", options, vendor.MODEL_KEYS, WHO)
    key, url = vendor.access(options, resources.environ, VENDOR, URL)
    where = DeepgramClientEnvironment(
        base=url, production=vendor.like("wss://x", url), agent=url, agent_rest=url
    )
    client = AsyncDeepgramClient(
        api_key=key, environment=where, httpx_client=shared_http(resources)
    )
    return client, url, key


class DeepgramTranscriber:
    """A `Transcriber`."""

    abilities: frozenset[HearingAbility] = frozenset(
        {"language", "words", "confidence", "speakers"}
    )
    longest_s = LONGEST_S

    def __init__(self, client: AsyncDeepgramClient, model: str) -> None:
        self._client = client
        self.model = model

    async def transcribe(self, recording: Recording) -> Transcript:
        """One request; words always come with their times."""
        wanted: dict[str, Any] = {"model": self.model, "smart_format": True}
        if recording.language:
            wanted["language"] = recording.language
        else:
            wanted["detect_language"] = True
        if recording.speakers:
            wanted["diarize"] = True
        extra = {str(name): value for name, value in recording.options.items()}
        with failing(WHO, ApiError):
            answer: Any = await self._client.listen.v1.media.transcribe_file(
                request=recording.sound.wav(),
                **wanted,
                request_options={**ONCE, "additional_query_parameters": extra},
            )
        try:
            channel = answer.results.channels[0]
            best = channel.alternatives[0]
            return Transcript(
                best.transcript.strip(),
                getattr(channel, "detected_language", None) or recording.language,
                best.confidence,
                tuple(_words(best)),
                (Use(float(answer.metadata.duration), "s"),),
            )
        except (AttributeError, IndexError, TypeError):
            raise lost(Cause.ERROR, f"{WHO} answers without a transcript") from None


def _words(best: Any) -> Iterator[Word]:
    for word in best.words or ():
        speaker = getattr(word, "speaker", None)
        yield Word(
            getattr(word, "punctuated_word", None) or word.word,
            word.start,
            word.end,
            word.confidence,
            None if speaker is None else str(round(speaker)),
        )


class DeepgramSpeaker:
    """A `Speaker` that `ListsVoices`."""

    longest = LONGEST
    rate_hz = RATE_HZ
    abilities: frozenset[SpeakingAbility] = frozenset()

    def __init__(
        self, client: AsyncDeepgramClient, model: str, resources: Resources, url: str, key: str
    ) -> None:
        self._client = client
        self._resources = resources
        self._url = url
        self._key = key
        self._voice = TTS_MODEL if model == "aura-2" else model
        self.model = model

    async def speak(self, script: Script) -> AsyncIterator[bytes]:
        """PCM as it comes."""
        with failing(WHO, ApiError):
            stream = self._client.speak.v1.audio.generate(
                text=script.text,
                model=script.voice or self._voice,
                encoding="linear16",
                container="none",
                sample_rate=RATE_HZ,
                request_options={
                    **ONCE,
                    "chunk_size": PIECE_BYTES,
                    "additional_query_parameters": dict(script.options),
                },
            )
            async for piece in whole_samples(stream):
                yield piece

    def uses(self, script: Script) -> tuple[Use, ...]:
        return characters(script)

    async def voices(self) -> list[VoiceRow]:
        """By `GET /v1/models`."""
        headers = {"Authorization": f"Token {self._key}"}
        async with asked(
            self._resources, "GET", f"{self._url}/v1/models", who=WHO, headers=headers
        ) as answer:
            tree = await read_json(answer, who=WHO)
        rows = tree.get("tts") if isinstance(tree, dict) else None
        return [
            VoiceRow(str(row["canonical_name"]), str(row.get("name", "")), _first(row))
            for row in rows or ()
            if isinstance(row, dict) and "canonical_name" in row
        ]


def _first(row: Mapping[str, Any]) -> str | None:
    languages = row.get("languages")
    return str(languages[0]) if isinstance(languages, list) and languages else None
