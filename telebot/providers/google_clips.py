"""Google Cloud for work that is no call: `Recognize` of Speech-to-Text v2, and streamed voices.

https://docs.cloud.google.com/speech-to-text/docs/reference/rpc/google.cloud.speech.v2 (at most a
minute and 10 MB in one request: https://docs.cloud.google.com/speech-to-text/docs/quotas). Keys,
project and region are those of the calls (`google.py`); so are the voices, Chirp 3 HD's:
https://docs.cloud.google.com/text-to-speech/docs/create-audio-text-streaming.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

from telebot.providers import vendor
from telebot.providers.asking import STALL_S, whole_samples
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
    mean,
)
from telebot.providers.failure import Cause, of_error
from telebot.providers.google import STT_HOST, TTS_HOST, host_of, project_of
from telebot.providers.http_voice import without_header
from telebot.providers.locale import locale
from telebot.providers.resources import Resources

WHO = "google"
STT_MODEL = "long"
LANGUAGE = "en-US"
LONGEST_S = 58.0  # of 60, as the vendor counts
ANSWER_S = 60.0
TTS_MODEL = "chirp3-hd"
TTS_VOICE = "en-US-Chirp3-HD-Charon"
LONGEST = 1600  # 5000 bytes, whatever its letters
RATE_HZ = 24_000
SLOWEST, FASTEST = 0.25, 2.0


def build_transcriber(options: Mapping[str, Any], resources: Resources) -> GoogleTranscriber:
    """`model`, `base_url`, `api_key_env`, `options: {location, project}`. Raises
    ProviderConfigError."""
    from google.cloud.speech_v2.services.speech import SpeechAsyncClient
    from google.cloud.speech_v2.services.speech.transports import SpeechGrpcAsyncIOTransport

    from telebot.providers.google_cloud import access, kept

    vendor.check_known("key", options, (*vendor.MODEL_KEYS, "options"), WHO)
    own = options.get("options") or {}
    location = str(own.get("location") or "global")
    who = access(options, resources.environ, host_of(STT_HOST, own))
    project = own.get("project") or project_of(resources.environ, who.account)
    return GoogleTranscriber(
        kept(resources, who, SpeechAsyncClient, SpeechGrpcAsyncIOTransport),
        who.metadata,
        f"projects/{project}/locations/{location}/recognizers/_",
        str(options.get("model") or STT_MODEL),
    )


def build_speaker(options: Mapping[str, Any], resources: Resources) -> GoogleVoice:
    """`voice`, `base_url`, `api_key_env`, `options: {location}`; a `model` is a voice. Raises
    ProviderConfigError."""
    from google.cloud.texttospeech_v1.services.text_to_speech import TextToSpeechAsyncClient
    from google.cloud.texttospeech_v1.services.text_to_speech.transports import (
        TextToSpeechGrpcAsyncIOTransport,
    )

    from telebot.providers.google_cloud import access, kept

    vendor.check_known("key", options, (*vendor.VOICE_KEYS, "options"), WHO)
    who = access(options, resources.environ, host_of(TTS_HOST, options.get("options") or {}))
    client = kept(resources, who, TextToSpeechAsyncClient, TextToSpeechGrpcAsyncIOTransport)
    model = str(options.get("model") or TTS_MODEL)
    voice = str(options.get("voice") or (TTS_VOICE if model == TTS_MODEL else model))
    return GoogleVoice(client, who.metadata, model, voice)


class GoogleTranscriber:
    """A `Transcriber`."""

    abilities: frozenset[HearingAbility] = frozenset({"language", "words", "confidence"})
    longest_s = LONGEST_S

    def __init__(
        self, client: Any, metadata: tuple[tuple[str, str], ...], recognizer: str, model: str
    ) -> None:
        self._client = client
        self._metadata = metadata
        self._recognizer = recognizer
        self.model = model

    async def transcribe(self, recording: Recording) -> Transcript:
        """One request; raw PCM needs no container."""
        from google.cloud.speech_v2.types import cloud_speech as wire

        from telebot.providers.google_cloud import FAILURES, error_frame

        try:
            config = self._config(recording)
        except (TypeError, ValueError) as error:  # of options that its features do not have
            raise lost(Cause.BAD_REQUEST, f"options: {error}"[:200]) from None
        request = wire.RecognizeRequest(
            recognizer=self._recognizer,
            config=config,
            content=recording.sound.pcm16,
        )
        try:
            answer = await self._client.recognize(
                request, metadata=self._metadata, timeout=ANSWER_S, retry=None
            )
        except FAILURES as error:
            frame = error_frame(error)
            raise ClipFailed(of_error(frame), str(frame.error)) from None
        return _transcript(answer, recording)

    def _config(self, recording: Recording) -> Any:
        from google.cloud.speech_v2.types import cloud_speech as wire

        language = locale(recording.language) if recording.language else self._unknown
        return wire.RecognitionConfig(
            explicit_decoding_config=wire.ExplicitDecodingConfig(
                encoding=wire.ExplicitDecodingConfig.AudioEncoding.LINEAR16,
                sample_rate_hertz=recording.sound.rate_hz,
                audio_channel_count=1,
            ),
            model=self.model,
            language_codes=[language],
            features=wire.RecognitionFeatures(
                {
                    "enable_automatic_punctuation": True,
                    "enable_word_time_offsets": recording.words,
                    "enable_word_confidence": recording.words,
                    **recording.options,
                }
            ),
        )

    @property
    def _unknown(self) -> str:
        """The newer models find the language out, the others must be told."""
        return "auto" if self.model.startswith("chirp") else LANGUAGE


def _transcript(answer: Any, recording: Recording) -> Transcript:
    best = [result.alternatives[0] for result in answer.results if result.alternatives]
    languages = [result.language_code for result in answer.results if result.language_code]
    billed = answer.metadata.total_billed_duration if answer.metadata else None
    seconds = billed.total_seconds() if billed else 0.0
    return Transcript(
        " ".join(each.transcript.strip() for each in best if each.transcript.strip()),
        languages[0] if languages else recording.language,
        mean(each.confidence or None for each in best),
        tuple(_words(best)),
        (Use(seconds, "s"),) if seconds else (),
    )


def _words(best: list[Any]) -> Iterator[Word]:
    for each in best:
        for word in each.words:
            yield Word(
                word.word,
                word.start_offset.total_seconds(),
                word.end_offset.total_seconds(),
                word.confidence or None,
            )


class GoogleVoice:
    """A `Speaker` that `ListsVoices`."""

    longest = LONGEST
    rate_hz = RATE_HZ
    abilities: frozenset[SpeakingAbility] = frozenset({"speed"})

    def __init__(
        self, client: Any, metadata: tuple[tuple[str, str], ...], model: str, voice: str
    ) -> None:
        self._client = client
        self._metadata = metadata
        self._voice = voice
        self.model = model

    async def speak(self, script: Script) -> AsyncIterator[bytes]:
        """PCM as it comes. Where gRPC has lost why it was refused, asking again tells."""
        from telebot.providers import google_cloud

        begun = False
        for last in (False, True):
            try:
                async for piece in whole_samples(without_header(self._sound(script))):
                    begun = True
                    yield piece
                return
            except TimeoutError:
                raise lost(Cause.STALLED, f"{WHO} sends nothing more") from None
            except google_cloud.FAILURES as error:
                if begun or last or not google_cloud.lost(error):
                    frame = google_cloud.error_frame(error)
                    raise ClipFailed(of_error(frame), str(frame.error)) from None

    async def _sound(self, script: Script) -> AsyncIterator[bytes]:
        from telebot.providers.google_cloud import closing

        call = self._client.streaming_synthesize(
            requests=_requests(script, script.voice or self._voice), metadata=self._metadata
        )
        async with closing(call) as stream:
            while True:
                async with asyncio.timeout(STALL_S):
                    response = await anext(stream, None)
                if response is None:
                    return
                if response.audio_content:
                    yield bytes(response.audio_content)

    def uses(self, script: Script) -> tuple[Use, ...]:
        return characters(script)

    async def voices(self) -> list[VoiceRow]:
        """Those that can be streamed."""
        from google.cloud.texttospeech_v1.types import cloud_tts as wire

        from telebot.providers.google_cloud import FAILURES, error_frame

        try:
            answer = await self._client.list_voices(
                request=wire.ListVoicesRequest(), metadata=self._metadata, timeout=STALL_S
            )
        except FAILURES as error:
            frame = error_frame(error)
            raise ClipFailed(of_error(frame), str(frame.error)) from None
        return [
            VoiceRow(each.name, each.name, next(iter(each.language_codes), None))
            for each in answer.voices
            if "Chirp3-HD" in each.name
        ]


async def _requests(script: Script, voice: str) -> AsyncIterator[Any]:
    from google.cloud.texttospeech_v1.types import cloud_tts as wire

    yield wire.StreamingSynthesizeRequest(
        streaming_config=wire.StreamingSynthesizeConfig(
            voice=wire.VoiceSelectionParams(
                language_code="-".join(voice.split("-")[:2]), name=voice
            ),
            streaming_audio_config=wire.StreamingAudioConfig(
                audio_encoding=wire.AudioEncoding.PCM,
                sample_rate_hertz=RATE_HZ,
                speaking_rate=min(FASTEST, max(SLOWEST, script.speed)),
            ),
        )
    )
    yield wire.StreamingSynthesizeRequest(input=wire.StreamingSynthesisInput(text=script.text))
