"""Google Cloud for work that is no call: `Recognize` of Speech-to-Text v2, over gRPC.

https://docs.cloud.google.com/speech-to-text/docs/reference/rpc/google.cloud.speech.v2 (at most a
minute and 10 MB in one request: https://docs.cloud.google.com/speech-to-text/docs/quotas). Keys,
project and region are those of the calls (`google.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from telebot.providers import vendor
from telebot.providers.clips import (
    ClipFailed,
    HearingAbility,
    Recording,
    Transcript,
    Use,
    Word,
)
from telebot.providers.failure import of_error
from telebot.providers.google import STT_HOST, project_of
from telebot.providers.locale import locale
from telebot.providers.resources import Resources

WHO = "google"
STT_MODEL = "long"
LANGUAGE = "en-US"
LONGEST_S = 58.0  # of 60, as the vendor counts
ANSWER_S = 60.0
KEYS = ("model", "api_key_env", "base_url", "options")


def build_transcriber(options: Mapping[str, Any], resources: Resources) -> GoogleTranscriber:
    """`model`, `base_url`, `api_key_env`, `options: {location, project}`. Raises
    ProviderConfigError."""
    from google.cloud.speech_v2.services.speech import SpeechAsyncClient
    from google.cloud.speech_v2.services.speech.transports import SpeechGrpcAsyncIOTransport

    from telebot.providers.google_cloud import access, kept

    vendor.check_known("key", options, KEYS, WHO)
    own = options.get("options") or {}
    location = str(own.get("location") or "global")
    host = STT_HOST if location == "global" else f"{location}-{STT_HOST}"
    who = access(options, resources.environ, host)
    project = own.get("project") or project_of(resources.environ, who.account)
    return GoogleTranscriber(
        kept(resources, who, SpeechAsyncClient, SpeechGrpcAsyncIOTransport),
        who.metadata,
        f"projects/{project}/locations/{location}/recognizers/_",
        str(options.get("model") or STT_MODEL),
    )


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

        request = wire.RecognizeRequest(
            recognizer=self._recognizer,
            config=self._config(recording),
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
                enable_automatic_punctuation=True,
                enable_word_time_offsets=recording.words,
                enable_word_confidence=recording.words,
                **recording.options,
            ),
        )

    @property
    def _unknown(self) -> str:
        """The newer models find the language out, the others must be told."""
        return "auto" if self.model.startswith("chirp") else LANGUAGE


def _transcript(answer: Any, recording: Recording) -> Transcript:
    best = [result.alternatives[0] for result in answer.results if result.alternatives]
    sure = [each.confidence for each in best if each.confidence]
    languages = [result.language_code for result in answer.results if result.language_code]
    billed = answer.metadata.total_billed_duration if answer.metadata else None
    seconds = billed.total_seconds() if billed else 0.0
    return Transcript(
        " ".join(each.transcript.strip() for each in best if each.transcript.strip()),
        languages[0] if languages else recording.language,
        round(sum(sure) / len(sure), 4) if sure else None,
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
